package io.reactorublk.samples.mirror;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Scheduler;
import reactor.core.scheduler.Schedulers;

class WriteOrderTest {

    private final WriteOrder order = new WriteOrder();
    private final List<String> begun = new ArrayList<>();

    /** A write that begins when its turn comes and ends when the test says so. */
    private final class Write {

        final Sinks.Empty<Void> end = Sinks.empty();
        final Disposable subscription;

        Write(String name, long offset, long length) {
            subscription = order.inTurn(offset, length, Runnable::run,
                    Mono.defer(() -> {
                        begun.add(name);
                        return end.asMono();
                    })).subscribe(nothing -> {}, e -> {});
        }

        void end() {
            end.tryEmitEmpty();
        }
    }

    @Test
    void writesThatDoNotOverlapDoNotWait() {
        new Write("a", 0, 4096);
        new Write("b", 4096, 4096);
        new Write("c", 1 << 20, 4096);

        assertThat(begun).containsExactly("a", "b", "c");
    }

    @Test
    void overlappingWritesGoOneAfterAnotherInTheOrderTheyCame() {
        Write a = new Write("a", 0, 8192);
        Write b = new Write("b", 4096, 8192);
        Write c = new Write("c", 0, 8192);
        assertThat(begun).containsExactly("a");

        a.end();
        assertThat(begun).containsExactly("a", "b");
        b.end();
        assertThat(begun).containsExactly("a", "b", "c");
        c.end();
    }

    @Test
    void nobodyOvertakesOneWhoWaitsAndWhomHeOverlaps() {
        Write a = new Write("a", 0, 8192);
        Write b = new Write("b", 4096, 8192);
        new Write("c", 8192, 8192);
        assertThat(begun).as("c overlaps only b, which waits").containsExactly("a");

        a.end();
        b.end();
        assertThat(begun).containsExactly("a", "b", "c");
    }

    @Test
    void aFailedWriteMakesRoomToo() {
        Write a = new Write("a", 0, 4096);
        new Write("b", 0, 4096);

        a.end.tryEmitError(new IllegalStateException("a failed"));

        assertThat(begun).containsExactly("a", "b");
    }

    @Test
    void whoGivesUpWaitingIsPassedOver() {
        Write a = new Write("a", 0, 4096);
        Write b = new Write("b", 0, 4096);
        new Write("c", 0, 4096);

        b.subscription.dispose();
        assertThat(begun).containsExactly("a");
        a.end();
        assertThat(begun).containsExactly("a", "c");
    }

    @Test
    void whoIsCancelledInHisTurnMakesRoom() {
        Write a = new Write("a", 0, 4096);
        new Write("b", 0, 4096);

        a.subscription.dispose();

        assertThat(begun).containsExactly("a", "b");
    }

    @Test
    void whoseLoopIsGoneMakesRoom() {
        Write a = new Write("a", 0, 4096);
        order.inTurn(0, 4096, task -> {
            throw new java.util.concurrent.RejectedExecutionException("disposed");
        }, Mono.empty()).subscribe();
        new Write("c", 0, 4096);

        a.end();

        assertThat(begun).containsExactly("a", "c");
    }

    @Test
    void noTwoOverlappingWritesOfManyThreadsAreUnderWayTogether() {
        int cells = 64;
        AtomicIntegerArray busy = new AtomicIntegerArray(cells);
        AtomicInteger collisions = new AtomicInteger();
        Scheduler clock = Schedulers.newParallel("ends", 2);
        List<Scheduler> loops = List.of(Schedulers.newSingle("q0"), Schedulers.newSingle("q1"), Schedulers.newSingle("q2"));

        Long done = Flux.fromIterable(loops).flatMap(loop -> {
            Random random = new Random(loops.indexOf(loop));
            return Flux.range(0, 3_000).publishOn(loop).flatMap(i -> {
                int start = random.nextInt(cells);
                int length = 1 + random.nextInt(cells - start);
                return order.inTurn(start, length, loop::schedule, Mono.defer(() -> {
                    for (int cell = start; cell < start + length; cell++) collisions.addAndGet(busy.getAndSet(cell, 1));
                    return Mono.fromRunnable(() -> {
                        for (int cell = start; cell < start + length; cell++) busy.set(cell, 0);
                    }).subscribeOn(clock);
                }).thenReturn(i));
            }, 32);
        }).count().block(Duration.ofSeconds(60));

        assertThat(done).isEqualTo(9_000);
        assertThat(collisions).hasValue(0);
        loops.forEach(Scheduler::dispose);
        clock.dispose();
    }
}
