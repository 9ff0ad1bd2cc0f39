package io.reactorublk;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import io.reactorublk.memory.MemoryDisk;
import io.reactorublk.memory.MemoryUblk;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Publisher;
import org.reactivestreams.Subscription;
import org.slf4j.LoggerFactory;
import reactor.core.CoreSubscriber;
import reactor.core.publisher.Sinks;

/**
 * A queue in memory, its loop at rest, for a race to start from: a target that does nothing by itself, and an application that
 * reads. It is used for many races, one after another, where they leave it as it was: making one takes far longer than a race.
 */
final class RacingQueue implements BlockTarget, CoreSubscriber<BlockRequest> {

    static {
        ((Logger) LoggerFactory.getLogger("io.reactorublk")).setLevel(Level.OFF);   // ten thousand queues that are lost on purpose
    }

    private static final int BLOCK = 4096;
    private static final int DEPTH = 4;

    private static final int RACES = 1000;
    private static final Queue<RacingQueue> AT_REST = new ConcurrentLinkedQueue<>();

    private final MemoryUblk ublk = MemoryUblk.create().withoutPartitionScan();
    private final Sinks.Many<Completion> answers = Sinks.unsafe().many().unicast().onBackpressureBuffer();
    private final UblkDevice device;
    private final MemoryDisk disk;
    private @Nullable BlockQueue queue;
    private @Nullable Subscription subscription;
    private int races;

    /** What arrived, in order. On the loop. */
    final List<BlockRequest> arrived = new ArrayList<>();
    /** How the reads of the application ended. */
    int done;
    int failed;

    private RacingQueue() {
        device = Objects.requireNonNull(ublk.get(UblkServer.create().kernel(ublk.kernel()).size(1 << 20).queueDepth(DEPTH)
                .maxIoBytes(BLOCK).serve(this).start()));
        disk = ublk.disk(device);
    }

    /** One that has not raced yet. */
    static RacingQueue fresh() {
        return new RacingQueue();
    }

    /** One that may have raced before. */
    static RacingQueue take() {
        RacingQueue rested = AT_REST.poll();
        return rested == null ? fresh() : rested;
    }

    /** After a race that went as it should, and left nothing: no demand, no request. */
    void giveBack() {
        if (++races == RACES) {
            end();
            return;
        }
        arrived.clear();
        done = 0;
        failed = 0;
        AT_REST.add(this);
    }

    /** Reads so many blocks, which wait in the kernel until somebody asks for them. */
    RacingQueue read(int blocks) {
        for (int i = 0; i < blocks; i++) {
            disk.read((long) i * BLOCK, BLOCK).subscribe(bytes -> done++, error -> failed++);
        }
        ublk.settle();
        return this;
    }

    /** Lets everything arrive that was asked for, and wakes the loop for nothing: its next turn is one that goes to sleep. */
    RacingQueue aboutToSleep() {
        settle();
        Objects.requireNonNull(queue).loop().wakeUp();
        turn();
        return this;
    }

    /** One turn of the loop. */
    void turn() {
        ublk.kernel().step();
    }

    /** Turns, until nothing moves any more. */
    void settle() {
        ublk.settle();
    }

    RacingQueue request(long n) {
        Objects.requireNonNull(subscription).request(n);
        return this;
    }

    RacingQueue cancel() {
        Objects.requireNonNull(subscription).cancel();
        return this;
    }

    void answer(BlockRequest request) {
        answers.emitNext(request.complete(), Sinks.EmitFailureHandler.FAIL_FAST);
    }

    /** Stops the device; throws if it does not stop, or if a rule of the driver was broken on the way. */
    void end() {
        ublk.get(device.disposeLater());
        ublk.assertNothingIsLeft();
        ublk.close();
    }

    @Override
    public Publisher<Completion> serve(BlockQueue served) {
        queue = served;
        served.subscribe(this);
        return answers.asFlux();
    }

    @Override
    public void onSubscribe(Subscription s) {
        subscription = s;
    }

    @Override
    public void onNext(BlockRequest request) {
        arrived.add(request);
    }

    @Override
    public void onError(Throwable e) {
        answers.tryEmitComplete();
    }

    @Override
    public void onComplete() {
        answers.tryEmitComplete();
    }
}
