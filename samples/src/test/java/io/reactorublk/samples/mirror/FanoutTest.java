package io.reactorublk.samples.mirror;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeoutException;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;
import reactor.core.publisher.Sinks;
import reactor.test.scheduler.VirtualTimeScheduler;

class FanoutTest {

    private static final Duration LIMIT = Duration.ofSeconds(3);

    private final VirtualTimeScheduler loop = VirtualTimeScheduler.create();
    private final List<Sinks.Empty<Void>> replicas = List.of(Sinks.empty(), Sinks.empty(), Sinks.empty());
    private final List<Integer> cancelled = new ArrayList<>();
    private final List<Fanout.Outcome> outcomes = new ArrayList<>();

    private Disposable ask(int members) {
        return Fanout.ask(members, member -> replicas.get(member).asMono().doOnCancel(() -> cancelled.add(member)), LIMIT, loop)
                .subscribe(outcomes::add);
    }

    private Fanout.Outcome outcome() {
        assertThat(outcomes).hasSize(1);
        return outcomes.getFirst();
    }

    @Test
    void waitsForAll() {
        ask(0b111);
        replicas.get(0).tryEmitEmpty();
        replicas.get(2).tryEmitEmpty();
        assertThat(outcomes).isEmpty();
        replicas.get(1).tryEmitEmpty();

        assertThat(outcome()).isEqualTo(new Fanout.Outcome(0b111, null));
    }

    @Test
    void tellsWhoFailed() {
        ask(0b101);
        replicas.get(0).tryEmitError(new IllegalStateException("broken"));
        replicas.get(2).tryEmitEmpty();

        assertThat(outcome().done()).isEqualTo(0b100);
        assertThat(outcome().failure()).hasMessage("broken");
    }

    @Test
    void theFirstErrorIsTold() {
        ask(0b111);
        replicas.get(2).tryEmitError(new IllegalStateException("first"));
        replicas.get(0).tryEmitEmpty();
        replicas.get(1).tryEmitError(new IllegalStateException("second"));

        assertThat(outcome().done()).isEqualTo(0b001);
        assertThat(outcome().failure()).hasMessage("first");
    }

    @Test
    void whoIsSlowerThanAnotherByTheLimitIsTooLateAndCancelled() {
        ask(0b011);
        loop.advanceTimeBy(LIMIT);
        replicas.get(0).tryEmitEmpty();
        loop.advanceTimeBy(LIMIT.minusMillis(1));
        assertThat(outcomes).as("measured from the first answer").isEmpty();
        loop.advanceTimeBy(Duration.ofMillis(100));

        assertThat(outcome().done()).isEqualTo(0b001);
        assertThat(outcome().failure()).isInstanceOf(TimeoutException.class);
        assertThat(cancelled).containsExactly(1);
    }

    @Test
    void ifNobodyAnswersNobodyIsSlow() {
        ask(0b111);
        loop.advanceTimeBy(Duration.ofHours(1));

        assertThat(outcomes).isEmpty();
        assertThat(cancelled).isEmpty();
    }

    @Test
    void aFailureIsNoReasonToHurryTheLast() {
        ask(0b011);
        replicas.get(0).tryEmitError(new IllegalStateException("broken"));
        loop.advanceTimeBy(Duration.ofHours(1));
        assertThat(outcomes).isEmpty();
        replicas.get(1).tryEmitEmpty();

        assertThat(outcome().done()).isEqualTo(0b010);
    }

    @Test
    void whatCompletedWhileEverythingStoodStillIsSeenInTime() {
        ask(0b011);
        replicas.get(0).tryEmitEmpty();
        // The timer is due, and in the same turn, after it, the completion is reaped.
        loop.advanceTimeBy(LIMIT);
        replicas.get(1).tryEmitEmpty();
        loop.advanceTimeBy(LIMIT);

        assertThat(outcome()).isEqualTo(new Fanout.Outcome(0b011, null));
    }

    @Test
    void cancellingCancelsAll() {
        ask(0b111).dispose();

        assertThat(cancelled).containsExactlyInAnyOrder(0, 1, 2);
    }

    @Test
    void nobodyAskedIsNobodyDone() {
        ask(0);

        assertThat(outcome().done()).isZero();
    }

    @Test
    void anExceptionIsAFailureToo() {
        Fanout.ask(0b1, member -> {
            throw new IllegalStateException("thrown");
        }, LIMIT, loop).subscribe(outcomes::add);

        assertThat(outcome().done()).isZero();
        assertThat(outcome().failure()).hasMessage("thrown");
    }
}
