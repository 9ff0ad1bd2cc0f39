package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** Demand is what leaves the kernel; the rest waits there, and none of it is lost. */
abstract class DemandContract extends DeviceContract {

    private final HeldRequests held = new HeldRequests();
    private final ManualTarget manual = new ManualTarget();

    @Test
    void aDemandOf16HoldsExactly16RequestsOutsideTheKernel() {
        Disk disk = disk(queue -> queue.answer(16, held::hold));
        List<CompletableFuture<byte[]>> reads = startReads(disk, 96);
        fixture.await(() -> held.size() == 16);
        fixture.settle();
        assertThat(held.size()).isEqualTo(16);
        held.open();
        assertAllRead(reads);
    }

    private void answerUntilAllAreRead(List<CompletableFuture<byte[]>> reads) {
        fixture.await(() -> {
            held.answerLastFirst();
            return reads.stream().allMatch(CompletableFuture::isDone);
        });
    }

    @Test
    void nothingThatWaitedInTheKernelIsLost() {
        Disk disk = disk(queue -> queue.answer(16, held::hold));
        List<CompletableFuture<byte[]>> reads = startReads(disk, 96);
        answerUntilAllAreRead(reads);
        for (int i = 0; i < reads.size(); i++) {
            assertThat(fixture.get(reads.get(i))).isEqualTo(filled(BLOCK, HeldRequests.numberOf(place(i))));
        }
        assertThat(held.most()).isLessThanOrEqualTo(16);
    }

    @Test
    void aDemandOf1LetsOneRequestOutAtATime() {
        Disk disk = disk(queue -> queue.answer(1, held::hold));
        List<CompletableFuture<byte[]>> reads = startReads(disk, 12);
        answerUntilAllAreRead(reads);
        assertAllRead(reads);
        assertThat(held.most()).isEqualTo(1);
    }

    @Test
    void unboundedDemandIsBoundedByTheDepth() {
        Disk disk = disk(start(server(queue -> queue.answer(held::hold)).queueDepth(16)));
        List<CompletableFuture<byte[]>> reads = startReads(disk, 64);
        fixture.await(() -> held.size() == 16);
        fixture.settle();
        assertThat(held.size()).isEqualTo(16);
        assertThat(held.requests()).extracting(BlockRequest::tag).doesNotHaveDuplicates()
                .allMatch(tag -> tag >= 0 && tag < 16);
        held.open();
        assertAllRead(reads);
    }

    @Test
    void aQueueOfDepth2Works() {
        Disk disk = disk(start(server(queue -> queue.answer(held::hold)).queueDepth(2)));
        List<CompletableFuture<byte[]>> reads = startReads(disk, 8);
        fixture.await(() -> held.size() == 2);
        held.open();
        assertAllRead(reads);
        assertThat(held.most()).isEqualTo(2);
    }

    @Test
    void withoutDemandNothingArrives() {
        Disk disk = disk(manual);
        List<CompletableFuture<byte[]>> reads = startReads(disk, 8);
        fixture.settle();
        assertThat(manual.arrived()).isZero();
        manual.request(Long.MAX_VALUE);
        assertAllRead(reads);
    }

    @Test
    void asMuchArrivesAsIsAskedForLater() {
        Disk disk = disk(manual);
        List<CompletableFuture<byte[]>> reads = startReads(disk, 32);
        manual.request(5);
        fixture.await(() -> manual.arrived() == 5);
        fixture.settle();
        assertThat(manual.arrived()).isEqualTo(5);
        manual.request(1);
        manual.request(2);
        fixture.await(() -> manual.arrived() == 8);
        fixture.settle();
        assertThat(manual.arrived()).isEqualTo(8);
        manual.request(Long.MAX_VALUE);
        assertAllRead(reads);
    }

    @Test
    void aDemandBeyondTheDepthIsServedToItsEnd() {
        Disk disk = disk(start(server(manual).queueDepth(4)));
        manual.request(40);
        List<CompletableFuture<byte[]>> reads = startReads(disk, 64);
        fixture.await(() -> manual.arrived() == 40);
        fixture.settle();
        assertThat(manual.arrived()).isEqualTo(40);
        manual.request(Long.MAX_VALUE);
        assertAllRead(reads);
    }

    @Test
    void demandOneByOneIsServed() {
        Disk disk = disk(manual);
        List<CompletableFuture<byte[]>> reads = startReads(disk, 24);
        while (!reads.stream().allMatch(CompletableFuture::isDone)) {
            int before = manual.arrived();
            manual.request(1);
            fixture.await(() -> manual.arrived() > before || reads.stream().allMatch(CompletableFuture::isDone));
            assertThat(manual.arrived()).isLessThanOrEqualTo(before + 1);
        }
        assertAllRead(reads);
    }

    @Test
    void aQueueThatStarvedGoesOnWithTheNextDemand() {
        AtomicInteger starved = new AtomicInteger();
        Disk disk = disk(start(server(manual).listener(new QueueListener() {
            @Override
            public void onStarved(BlockQueue queue) {
                starved.incrementAndGet();
            }
        })));
        manual.request(1);
        List<CompletableFuture<byte[]>> reads = startReads(disk, 16);
        fixture.await(() -> starved.get() > 0);
        manual.request(Long.MAX_VALUE);
        assertAllRead(reads);
    }

    @Test
    void limitRateLimitsWhatLeavesTheKernel() {
        AtomicInteger arrived = new AtomicInteger();
        AtomicInteger answered = new AtomicInteger();
        Disk disk = disk(queue -> queue.doOnNext(request -> arrived.incrementAndGet())
                .limitRate(8)
                .flatMap(request -> held.hold(request).hide(), 4, 1)
                .doOnNext(completion -> answered.incrementAndGet()));
        List<CompletableFuture<byte[]>> reads = startReads(disk, 64);
        fixture.await(() -> held.size() == 4);
        fixture.settle();
        assertThat(arrived.get() - answered.get()).isBetween(4, 8 + 4);    // what limitRate keeps ready, and the handler has
        held.open();
        assertAllRead(reads);
    }

    @Test
    void demandFromManyThreadsAddsUp() throws InterruptedException {
        Disk disk = disk(manual);
        List<CompletableFuture<byte[]>> reads = startReads(disk, 64);
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < 16; i++) threads.add(Thread.ofPlatform().start(() -> manual.request(3)));
        for (Thread thread : threads) thread.join();
        fixture.await(() -> manual.arrived() == 48);
        fixture.settle();
        assertThat(manual.arrived()).isEqualTo(48);
        manual.request(Long.MAX_VALUE);
        assertAllRead(reads);
    }
}
