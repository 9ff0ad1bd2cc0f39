package io.reactorublk.uring;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.reactorublk.uring.World.Pipe;
import io.reactorublk.uring.abi.io_uring_h;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** A ring: stage, enter, reap. */
abstract class RingContract extends RingHarness {

    @Test
    void aNoOpCompletes() {
        stage("nop").nop();
        assertThat(await(1)).containsExactly(new Done("nop", 0, 0));
        assertThat(ring.inFlight()).isZero();
    }

    @Test
    void nothingCompletesBeforeTheKernelIsEntered() {
        stage("nop").nop();
        assertThat(ring.reap()).isZero();
        assertThat(done).isEmpty();
        assertThat(ring.inFlight()).isEqualTo(1);
        submit();
    }

    @Test
    void whatIsStagedInOneTurnLeavesInOneSystemCall() {
        long before = ring.enters();
        for (int i = 0; i < 8; i++) stage("nop").nop();
        submit();
        assertThat(ring.enters() - before).isEqualTo(1);
        assertThat(done).hasSize(8);
    }

    @Test
    void moreEntriesThanTheQueueHoldsFitIntoOneTurn() {
        for (int i = 0; i < 50; i++) stage("nop " + i).nop();
        awaitAll();
        assertThat(done).extracting(Done::name)
                .containsExactlyElementsOf(IntStream.range(0, 50).mapToObj(i -> "nop " + i).toList());
    }

    @Test
    void aFullQueueLeavesWithoutItsHandlersBeingCalled() {
        for (int i = 0; i < 9; i++) stage("nop").nop();
        assertThat(done).as("a handler must not run inside the handler that stages").isEmpty();
        assertThat(awaitAll()).hasSize(9);
    }

    @Test
    void entriesAreUsedAgainAndAgain() {
        for (int round = 0; round < 1000; round++) {
            for (int i = 0; i < 3; i++) stage("nop").nop();
            submit();
        }
        assertThat(done).hasSize(3000).allMatch(d -> d.result() == 0);
    }

    @Test
    void anEntryIsNotColouredByTheOneBeforeIt() {
        for (int i = 0; i < 8; i++) stage("before").nop().fixedFile().hardLink();
        stage("end of chain").nop();
        awaitAll();
        done.clear();
        Pipe pipe = world.pipe();
        IoBuffer.Segment buffer = buffer(4);
        for (int i = 0; i < 8; i++) stage("read").read(pipe.reader(), buffer.slice(0, 1), 0);
        submit();
        write(pipe, "12345678");
        assertThat(awaitAll()).hasSize(8).allMatch(d -> d.result() == 1);
    }

    @Test
    void completionsBeyondTheCompletionQueueAreKept() {
        ring = openRing(new RingConfig(4, 4, false));
        for (int i = 0; i < 100; i++) stage("nop " + i).nop();
        awaitAll();
        assertThat(done).extracting(Done::name)
                .containsExactlyElementsOf(IntStream.range(0, 100).mapToObj(i -> "nop " + i).toList());
        assertThat(ring.overflow()).isZero();
    }

    @Test
    void moreMayBeInFlightThanTheQueueHolds() {
        Pipe pipe = world.pipe();
        for (int i = 0; i < 64; i++) stage("read").read(pipe.reader(), buffer(1), 0);
        submit();
        assertThat(ring.inFlight()).isEqualTo(64);
        write(pipe, "x".repeat(64));
        assertThat(awaitAll()).hasSize(64).allMatch(d -> d.result() == 1);
    }

    @Test
    void aHandlerMayStage() {
        ring.stage((result, flags) -> stage("second").nop()).nop();
        assertThat(await(1)).extracting(Done::name).containsExactly("second");
    }

    @Test
    void aHandlerMayStageMoreThanTheQueueHolds() {
        ring.stage((result, flags) -> {
            for (int i = 0; i < 20; i++) stage("second").nop();
        }).nop();
        assertThat(await(20)).hasSize(20);
    }

    @Test
    void aHandlerThatThrowsCostsNobodyElse() {
        try (LogCapture log = LogCapture.of(CompletionQueue.class)) {
            stage("first").nop();
            ring.stage((result, flags) -> { throw new IllegalStateException("as the test wants it"); }).nop();
            stage("third").nop();
            awaitAll();
            assertThat(done).extracting(Done::name).containsExactly("first", "third");
            assertThat(log.thrown()).singleElement().asString().contains("as the test wants it");
        }
    }

    @Test
    void aWaitEndsWithItsTimeout() {
        ring.enter(true, TimeUnit.MILLISECONDS.toNanos(1));
        assertThat(ring.reap()).isZero();
    }

    @Test
    void aWaitEndsWithACompletion() {
        Pipe pipe = world.pipe();
        stage("read").read(pipe.reader(), buffer(1), 0);
        stage("write").write(pipe.writer(), buffer("x"), 0);
        List<String> seen = new ArrayList<>();
        while (seen.size() < 2) {
            ring.enter(true, Ring.FOREVER);
            ring.reap();
            done.forEach(d -> seen.add(d.name()));
            done.clear();
        }
        assertThat(seen).containsExactlyInAnyOrder("read", "write");
    }

    @Test
    void aWaitLooksPastACompletionThatWasExpectedAtOnce() {
        Pipe pipe = world.pipe();
        stage("read").read(pipe.reader(), buffer(1), 0);
        stage("write").write(pipe.writer(), buffer("x"), 0);
        ring.expectInline();
        ring.enter(true, Ring.FOREVER);
        ring.reap();
        assertThat(done).as("both in one turn").hasSize(2);
    }

    @Test
    void theKernelSaysWhichOperationsItKnows() {
        assertThat(ring.supports(io_uring_h.IORING_OP_NOP())).isTrue();
        assertThat(ring.supports(io_uring_h.IORING_OP_READ_MULTISHOT())).isTrue();
        assertThat(ring.supports(255)).isFalse();
    }

    @Test
    void aBadDescriptorIsAResult() {
        stage("read").read(-1, buffer(1), 0);
        assertThat(await(1)).containsExactly(new Done("read", EBADF, 0));
    }

    @Test
    void largeEntriesCarryAPayloadOfEightyBytes() {
        ring = openRing(new RingConfig(4, 8, true));
        for (int i = 0; i < 10; i++) {
            Sqe sqe = stage("nop " + i).nop();
            assertThat(sqe.payload(80).toArray(java.lang.foreign.ValueLayout.JAVA_BYTE))
                    .as("payload of entry " + i).containsOnly(0);
            sqe.payload(80).asSlice(16, 64).fill((byte) -1);           // what a small entry has no room for
            submit();
        }
        assertThat(done).hasSize(10).allMatch(d -> d.result() == 0);
    }

    @Test
    void aRingThatIsTooLargeIsRefusedBeforeTheKernelIsAsked() {
        assertThatThrownBy(() -> new RingConfig(RingConfig.MAX_SUBMISSION_ENTRIES + 1, 65_536, false))
                .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("32769");
        assertThatThrownBy(() -> new RingConfig(8, 4, false))
                .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("4 completion entries");
    }

    @Test
    void aClosedRingLeavesNothingBehind() {
        long before = world.descriptors();
        KernelSpy spy = new KernelSpy(kernel());
        for (int i = 0; i < 100; i++) Ring.open(spy.kernel(), new RingConfig(8, 16, i % 2 == 0)).close();
        assertThat(world.descriptors()).isEqualTo(before);
        assertThat(spy.memoryStillMapped()).isZero();
    }
}
