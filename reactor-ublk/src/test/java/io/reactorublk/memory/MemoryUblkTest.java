package io.reactorublk.memory;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.reactorublk.BlockRequest;
import io.reactorublk.BlockTarget;
import io.reactorublk.Completion;
import io.reactorublk.UblkDevice;
import io.reactorublk.UblkServer;
import io.reactorublk.target.NullTarget;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Schedulers;

/** What the kit finds out that a kernel would not tell, and how long it waits. */
class MemoryUblkTest {

    private static final int LENGTH = 4096;
    private static final String LATE = "the memory of READ of 4096 bytes at 0 (tag 0) of queue 0 of device 0 was written after it had been "
            + "answered: byte 7 is 0x01";

    private final MemoryUblk ublk = MemoryUblk.create().withoutPartitionScan();
    /** Of requests that were answered. */
    private final List<MemorySegment> kept = new ArrayList<>();

    @AfterEach
    void close() {
        ublk.close();
    }

    private UblkDevice start(BlockTarget target) {
        return ublk.get(UblkServer.create().kernel(ublk.kernel()).size(1 << 20).queueDepth(4).maxIoBytes(LENGTH).serve(target).start());
    }

    private MemoryDisk serve(BlockTarget target) {
        return ublk.disk(start(target));
    }

    private void assertBreach(String... words) {
        assertThat(ublk.breaches()).singleElement().asString().contains(words);
    }

    // ------------------------------------------------------------------------------------------- answers

    @Test
    void aSecondAnswerIsABreach() {
        MemoryDisk disk = serve(queue -> queue.concatMap(request -> Flux.just(request.complete(), request.complete())));
        assertThatThrownBy(() -> ublk.get(disk.read(0, LENGTH))).isInstanceOf(AssertionError.class)
                .hasMessageContaining("READ of 4096 bytes at 0 (tag 0 of queue 0").hasMessageContaining("has been answered already");
        assertBreach("has been answered already");
    }

    /** Between two turns, where nothing is there that could throw. */
    @Test
    void aSecondAnswerThatComesLaterIsThrownByWhoLooksNext() {
        MemoryQueue alone = ublk.queue(4);
        List<BlockRequest> requests = new ArrayList<>();
        alone.queue().subscribe(requests::add);
        ublk.settle();
        alone.disk().readBlocks(1);
        ublk.settle();
        Completion completion = requests.getFirst().complete();
        alone.answer(completion);
        ublk.assertEveryRequestAnswered();
        alone.answer(completion);
        assertThatThrownBy(ublk::assertEveryRequestAnswered).hasMessageContaining("has been answered already");
        ublk.assertEveryRequestAnswered();
        assertBreach("has been answered already");
    }

    /** One request only: a second one would be answered twice as well, after the first breach was thrown, and perhaps in the end. */
    @Test
    void aSecondAnswerOfAnotherThreadIsABreach() {
        Sinks.Empty<Void> answeredTwice = Sinks.empty();
        MemoryDisk disk = serve(queue -> queue.publishOn(Schedulers.boundedElastic()).concatMap(request ->
                Flux.just(request.complete(), request.complete()).concatWith(Mono.fromRunnable(answeredTwice::tryEmitEmpty))));
        assertThatThrownBy(() -> {
            ublk.get(disk.read(0, LENGTH).then(answeredTwice.asMono()));
            ublk.settle();
        }).isInstanceOf(AssertionError.class).hasMessageContaining("has been answered already");
    }

    @Test
    void anAnswerGivenToAnotherQueueIsABreach() {
        Sinks.Many<Completion> strange = Sinks.unsafe().many().unicast().onBackpressureBuffer();
        start(queue -> queue.answer(request -> Mono.just(request.complete())).mergeWith(strange.asFlux()));
        MemoryQueue alone = ublk.queue(4);
        List<BlockRequest> requests = new ArrayList<>();
        alone.queue().subscribe(requests::add);
        alone.disk().readBlocks(1);
        ublk.settle();
        strange.tryEmitNext(requests.getFirst().complete());
        assertThatThrownBy(ublk::settle).hasMessageContaining("is not of queue 0 of /dev/ublkb0");
        assertThatThrownBy(ublk::assertEveryRequestAnswered).hasMessageContaining("1 requests of queue 0 of device 1 are not answered");
    }

    @Test
    void allThatWasBrokenIsThrownAtOnce() {
        MemoryDisk disk = serve(queue -> queue.concatMap(request -> Flux.just(request.complete(), request.complete(), request.complete())));
        assertThatThrownBy(() -> ublk.get(disk.read(0, LENGTH))).satisfies(e -> assertThat(e.getSuppressed()).hasSize(1));
        ublk.settle();
        assertThat(ublk.breaches()).hasSize(2);
    }

    @Test
    void aTaskOfALoopThatFailsIsABreach() {
        MemoryQueue alone = ublk.queue(4);
        alone.queue().loop().schedule(() -> {
            throw new IllegalStateException("a task, for a test");
        });
        assertThatThrownBy(ublk::settle).hasMessage("a task, for a test").hasCauseInstanceOf(IllegalStateException.class);
    }

    // ------------------------------------------------------------------------------------------- memory

    private MemoryDisk keeping() {
        return serve(queue -> queue.answer(request -> {
            kept.add(request.data());
            return Mono.just(request.complete());
        }));
    }

    private void writeLate() {
        ublk.get(keeping().read(0, LENGTH));
        kept.getFirst().set(JAVA_BYTE, 7, (byte) 1);
    }

    @Test
    void aLateWriteIsAmongTheBreaches() {
        writeLate();
        assertThat(ublk.breaches()).containsExactly(LATE);
        assertThat(ublk.breaches()).as("once found out").containsExactly(LATE);
        assertThatThrownBy(ublk::settle).hasMessage(LATE);
        ublk.settle();
    }

    @Test
    void aLateWriteIsFoundWhenAllHasSettled() {
        writeLate();
        assertThatThrownBy(ublk::settle).isInstanceOf(AssertionError.class).hasMessage(LATE);
    }

    @Test
    void aLateWriteIsFoundWhenTimePasses() {
        writeLate();
        assertThatThrownBy(() -> ublk.advanceTime(Duration.ZERO)).hasMessage(LATE);
    }

    @Test
    void aLateWriteIsFoundInTheEnd() {
        writeLate();
        assertThatThrownBy(ublk::close).hasMessage(LATE);
    }

    @Test
    void aLateWriteIsFoundWhenTheServerIsKilled() {
        writeLate();
        ublk.kill();
        assertThat(ublk.breaches()).containsExactly(LATE);
        assertThatThrownBy(ublk::settle).hasMessage(LATE);
    }

    @Test
    void theEndOfADeviceForgetsNothingOfAnother() {
        UblkDevice other = start(new NullTarget());
        ublk.get(keeping().read(0, LENGTH));
        ublk.get(other.disposeLater());
        kept.getFirst().fill((byte) 1);
        assertThatThrownBy(ublk::settle).hasMessageContaining("of device 1 was written after it had been answered: byte 0 is 0x01");
    }

    /** Nobody can see that somebody reads; but he will not find what he looks for. */
    @Test
    void whoReadsLateSeesAPattern() {
        MemoryDisk disk = keeping();
        ublk.get(disk.write(0, new byte[LENGTH]));
        assertThat(kept.getFirst().toArray(JAVA_BYTE)).containsOnly(0xDB);
    }

    // ------------------------------------------------------------------------------------------- time

    @Test
    void otherThreadsAreWaitedFor() {
        MemoryDisk disk = serve(queue -> queue.answer(request -> Mono.delay(Duration.ofMillis(50)).thenReturn(request.complete())));
        assertThat(ublk.get(disk.read(0, LENGTH))).hasSize(LENGTH);
    }

    @Test
    void theClockStandsStillWhileOnlyOthersMove() {
        MemoryDisk disk = serve(queue -> queue.answer(request -> Mono.delay(Duration.ofMillis(50)).thenReturn(request.complete())));
        long before = ublk.kernel().nanoTime();
        ublk.get(disk.read(0, LENGTH));
        assertThat(ublk.kernel().nanoTime()).isEqualTo(before);
    }

    private MemoryDisk takes(Duration time) {
        return serve(queue -> queue.answer(request -> Mono.delay(time, queue.loop()).thenReturn(request.complete())));
    }

    @Test
    void aMinuteIsWaitedFor() {
        assertThat(ublk.get(takes(Duration.ofSeconds(59)).read(0, LENGTH))).hasSize(LENGTH);
    }

    @Test
    void anotherLimitMayBeSet() {
        MemoryDisk disk = takes(Duration.ofHours(1));
        assertThat(ublk.get(disk.read(0, LENGTH), Duration.ofHours(1))).hasSize(LENGTH);
    }

    @Test
    void whatDoesNotComeHangs() {
        MemoryDisk disk = serve(queue -> queue.answer(request -> Mono.never()));
        assertThatThrownBy(() -> ublk.get(disk.read(0, LENGTH))).isInstanceOf(AssertionError.class)
                .hasMessage("it hangs: no outcome within PT1M, nor of other threads within 5 s; there are [device 0, live, open, mapped]");
    }
}
