package io.reactorublk.uring;

import java.util.ArrayDeque;
import java.util.Queue;

/**
 * The places of a ring's buffer table that are free for operations on {@link IoBuffer.Pages}, as a stack, and who waits for one:
 * a request that is split into many parts may want more than there are. On the loop.
 */
final class SpareBuffers {

    private final int[] free;
    private int count;
    private final Queue<Runnable> waiting = new ArrayDeque<>();

    SpareBuffers(int first, int count) {
        free = new int[count];
        for (int index = first + count - 1; index >= first; index--) give(index);
    }

    /**
     * Takes one, or returns -1 and runs the waiter once one is free. That happens: a place is taken by an operation under
     * way only, and each of these ends, with the loop at the latest.
     *
     * @throws KernelException ENOBUFS if there are none at all
     */
    int take(Runnable waiter) {
        if (count > 0) return free[--count];
        if (free.length == 0) {
            throw new KernelException("register a driver's pages", Errno.ENOBUFS,
                    "This ring's buffer table has no spare places; register some with registerBuffers(named, spare)");
        }
        waiting.add(waiter);
        return -1;
    }

    void give(int index) {
        free[count++] = index;
        while (count > 0) {                                            // who was cancelled meanwhile takes none
            Runnable waiter = waiting.poll();
            if (waiter == null) return;
            waiter.run();
        }
    }
}
