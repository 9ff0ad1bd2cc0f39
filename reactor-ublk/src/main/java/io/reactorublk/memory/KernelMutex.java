package io.reactorublk.memory;

import java.util.ArrayDeque;
import java.util.Deque;

/** A lock whose owners are not threads but things that go on, in the order of their coming. Mirrors {@code ublk_ctl_mutex}. */
final class KernelMutex {

    private final Deque<Runnable> waiting = new ArrayDeque<>();
    private boolean held;

    /** Runs it when the lock is its own, which it must {@link #unlock}. */
    void lock(Runnable owner) {
        if (held) {
            waiting.add(owner);
            return;
        }
        held = true;
        owner.run();
    }

    void unlock() {
        Runnable next = waiting.poll();
        if (next == null) {
            held = false;
        } else {
            next.run();
        }
    }
}
