package io.reactorublk;

import io.reactorublk.memory.MemoryQueue;
import io.reactorublk.memory.MemoryUblk;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.reactivestreams.Publisher;
import org.reactivestreams.tck.PublisherVerification;
import org.reactivestreams.tck.TestEnvironment;
import org.testng.annotations.AfterMethod;
import org.testng.annotations.BeforeMethod;
import reactor.core.publisher.Flux;

/**
 * A queue is a publisher by the rules of Reactive Streams: in memory. A thread gives the kernel its time, and so the queue's
 * signals come from there, while the rules are tried from another.
 */
public class BlockQueueTckTest extends PublisherVerification<BlockRequest> {

    private static final long LONG_ENOUGH_MILLIS = 10_000;
    private static final long NOTHING_COMES_MILLIS = 50;
    private static final int DEPTH = 32;
    /** More than any rule looks at: these are read as long as somebody wants them. */
    private static final long MANY = 1_000;

    private MemoryUblk ublk;
    private Thread time;
    private volatile boolean over;

    public BlockQueueTckTest() {
        super(new TestEnvironment(LONG_ENOUGH_MILLIS, NOTHING_COMES_MILLIS, NOTHING_COMES_MILLIS));
    }

    @BeforeMethod
    public void newKernel() {
        ublk = MemoryUblk.create();
        over = false;
        time = new Thread(() -> {
            while (!over) {
                ublk.settle();
                LockSupport.parkNanos(20_000);
            }
        }, "time");
    }

    @AfterMethod
    public void endTime() throws InterruptedException {
        over = true;
        if (time.isAlive()) time.join();
        ublk.close();
    }

    /** A rule may ask for many publishers, one after another, and only one thread may give a kernel its time. */
    private void newWorld() {
        if (!time.isAlive()) return;
        try {
            endTime();
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
        newKernel();
    }

    @Override
    public Publisher<BlockRequest> createPublisher(long elements) {
        newWorld();
        MemoryQueue alone = ublk.queue(DEPTH);
        if (elements > 0) alone.disk().readBlocks((int) Math.min(elements, MANY));
        AtomicLong arrived = new AtomicLong();
        Flux<BlockRequest> requests = alone.queue().doOnNext(request -> {
            alone.answer(request.complete());
            if (arrived.incrementAndGet() == elements) alone.device().dispose();
            if (elements > MANY) alone.disk().readBlocks(1);
        });
        start();
        return subscriber -> {
            Objects.requireNonNull(subscriber);
            alone.queue().loop().execute(() -> requests.subscribe(subscriber));
            if (elements == 0) alone.device().dispose();
        };
    }

    /** A queue that has its one subscriber already. */
    @Override
    public Publisher<BlockRequest> createFailedPublisher() {
        newWorld();
        BlockQueue queue = ublk.queue(DEPTH).queue();
        queue.subscribe();
        start();
        return queue;
    }

    private void start() {
        if (!time.isAlive()) time.start();
    }
}
