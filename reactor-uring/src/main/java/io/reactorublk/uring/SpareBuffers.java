package io.reactorublk.uring;

/** The places of a ring's buffer table that are free for operations on {@link IoBuffer.Pages}, as a stack. On the loop. */
final class SpareBuffers {

    private final int[] free;
    private int count;

    SpareBuffers(int first, int count) {
        free = new int[count];
        for (int index = first + count - 1; index >= first; index--) give(index);
    }

    /**
     * Takes one.
     *
     * @throws KernelException ENOBUFS if all are in use
     */
    int take() {
        if (count == 0) {
            throw new KernelException("register a driver's pages", Errno.ENOBUFS, "All " + free.length
                    + " spare places of this ring's buffer table are in use; register more with registerBuffers(named, spare)");
        }
        return free[--count];
    }

    void give(int index) {
        free[count++] = index;
    }
}
