package io.reactorublk.uring;

import io.reactorublk.uring.memory.MemoryKernel;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicBoolean;

/** A loop in memory, at rest. It is used for many races, one after another, because making one takes far longer than a race. */
final class RacingLoop {

    private static final int RACES = 1000;
    private static final Queue<RacingLoop> AT_REST = new ConcurrentLinkedQueue<>();

    private final MemoryKernel kernel = MemoryKernel.create();
    private final EventLoop loop = EventLoop.start(kernel, "loop", new RingConfig(4, 16, false));
    private int races;

    private RacingLoop() {
        kernel.settle();
    }

    /** One that has not raced yet. */
    static RacingLoop fresh() {
        return new RacingLoop();
    }

    /** One that may have raced before. */
    static RacingLoop take() {
        RacingLoop rested = AT_REST.poll();
        return rested == null ? fresh() : rested;
    }

    /** After a race that went as it should; from time to time it ends here. False if it should end and does not. */
    boolean giveBack() {
        if (++races == RACES) return ends();
        AT_REST.add(this);
        return true;
    }

    EventLoop loop() {
        return loop;
    }

    /** Wakes the loop for nothing: its next turn is one that goes to sleep. */
    RacingLoop aboutToSleep() {
        loop.wakeUp();
        turn();
        return this;
    }

    /** One turn. */
    void turn() {
        kernel.step();
    }

    /** Turns, until nothing moves any more. */
    void settle() {
        kernel.settle();
    }

    /** Ends the loop, and tells whether it could be ended. */
    boolean ends() {
        AtomicBoolean ended = new AtomicBoolean();
        loop.disposeGracefully().subscribe(nothing -> {}, error -> {}, () -> ended.set(true));
        kernel.settle();
        return ended.get();
    }
}
