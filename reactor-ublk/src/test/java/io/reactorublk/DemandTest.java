package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.memory.MemoryDisk;
import io.reactorublk.memory.MemoryQueue;
import io.reactorublk.memory.MemoryUblk;
import java.time.Duration;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import reactor.test.StepVerifier;

/** What nobody asked for stays in the kernel: a queue alone, stepped by its subscriber's demand. */
public class DemandTest {

    private static final Duration QUIET = Duration.ofMillis(10);

    private final MemoryUblk ublk = MemoryUblk.create();
    private final MemoryQueue alone = ublk.queue(8);
    private final BlockQueue queue = alone.queue();
    private final MemoryDisk disk = alone.disk();

    @AfterEach
    void nothingIsLeft() {
        ublk.get(alone.device().disposeLater());
        ublk.assertNothingIsLeft();
        assertThat(ublk.breaches()).isEmpty();
        ublk.close();
    }

    // @start region="demand"
    @Test
    void requestsLeaveTheKernelAsTheyAreAskedFor() {
        StepVerifier.create(queue, 0)                                  // a queue is a Flux: no adapter
                .expectSubscription()
                .then(() -> disk.readBlocks(5)).then(ublk::settle).expectNoEvent(QUIET)
                .thenRequest(3).then(ublk::settle).consumeNextWith(this::answer).consumeNextWith(this::answer).consumeNextWith(this::answer)
                .then(() -> assertThat(disk.waiting()).isEqualTo(2))   // in the kernel, not in the JVM
                .thenRequest(2).then(ublk::settle).consumeNextWith(this::answer).consumeNextWith(this::answer)
                .then(ublk::assertEveryRequestAnswered)
                .thenCancel().verify();
    }
    // @end

    @Test
    void aQueueAloneKnowsItsDevice() {
        assertThat(queue.isRecovered()).isFalse();
        assertThat(queue.parameters().sizeBytes()).isEqualTo(queue.sizeBytes()).isEqualTo(1 << 30);
        assertThat(queue.parameters().blockSize()).isEqualTo(queue.blockSize()).isEqualTo(512);
        assertThat(queue.parameters().maxIoBytes()).isEqualTo(64 << 10);
    }

    private void answer(BlockRequest request) {
        alone.answer(request.complete());
    }

    @Test
    void answeringAsksForNothing() {
        StepVerifier.create(queue, 1)
                .then(() -> disk.readBlocks(2)).then(ublk::settle)
                .consumeNextWith(this::answer).then(ublk::settle).expectNoEvent(QUIET)
                .then(() -> assertThat(disk.waiting()).isEqualTo(1))
                .thenRequest(1).then(ublk::settle).consumeNextWith(this::answer)
                .thenCancel().verify();
    }

    @Test
    void unboundedDemandIsBoundedByTheDepth() {
        StepVerifier.create(queue)
                .then(() -> disk.readBlocks(20)).then(ublk::settle)
                .expectNextCount(8).expectNoEvent(QUIET)
                .then(() -> assertThat(disk.inFlight()).isEqualTo(8))
                .then(() -> assertThat(disk.waiting()).isEqualTo(12))
                .thenCancel().verify();
    }

    @Test
    void theQueueCompletesWhenTheDeviceStops() {
        StepVerifier.create(queue)
                .then(alone.device()::dispose).then(ublk::settle)
                .verifyComplete();
    }

    @Test
    void whatACancelledQueueHeldFails() {
        StepVerifier.create(queue)
                .then(() -> disk.readBlocks(3)).then(ublk::settle)
                .expectNextCount(3)
                .thenCancel().verify();
        ublk.settle();
        ublk.assertEveryRequestAnswered();
    }
}
