package io.reactorublk.uring.memory;

import java.util.ArrayList;
import java.util.List;

/** Who wants to hear that something has changed: once, then he must ask again. */
final class WaitQueue {

    private final List<Runnable> waiting = new ArrayList<>();

    void add(Runnable waiter) {
        waiting.add(waiter);
    }

    void remove(Runnable waiter) {
        waiting.remove(waiter);
    }

    /** Wakes all, in the order they came: which of them finds something left is theirs to find out. */
    void wake() {
        if (waiting.isEmpty()) return;
        List<Runnable> woken = List.copyOf(waiting);
        waiting.clear();
        for (Runnable waiter : woken) waiter.run();
    }
}
