package io.reactorublk.uring.memory;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.reactorublk.uring.abi.io_uring_cqe;
import io.reactorublk.uring.abi.io_uring_h;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;
import java.util.ArrayDeque;

/**
 * The half of a completion queue that the kernel writes. What does not fit is kept, in order, until there is room
 * ({@code FEAT_NODROP}).
 */
final class Completions {

    private static final VarHandle INT = JAVA_INT.varHandle();
    private static final long ENTRY_BYTES = io_uring_cqe.layout().byteSize();
    private static final long RES = io_uring_cqe.res$offset();
    private static final long FLAGS = io_uring_cqe.flags$offset();

    private record Kept(long userData, int result, int flags) {}

    private final RingLayout layout;
    private final ArrayDeque<Kept> overflow = new ArrayDeque<>();
    private MemorySegment rings = MemorySegment.NULL;
    private int tail;
    private boolean hidden;

    Completions(RingLayout layout) {
        this.layout = layout;
    }

    void mapped(MemorySegment memory) {
        rings = memory;
    }

    /** Posts a completion, or keeps it if the queue is full. */
    void post(long userData, int result, int flags) {
        if (postUnlessFull(userData, result, flags)) return;
        overflow.add(new Kept(userData, result, flags));
        showOverflow(io_uring_h.IORING_SQ_CQ_OVERFLOW());
    }

    /** Posts a completion, unless the queue is full or others wait before it. */
    boolean postUnlessFull(long userData, int result, int flags) {
        if (!isMapped()) return true;                                  // nobody is left to see it
        if (!overflow.isEmpty() || available() == layout.cqEntries()) return false;
        write(userData, result, flags);
        return true;
    }

    private void write(long userData, int result, int flags) {
        long at = layout.cqes() + (tail & layout.cqEntries() - 1) * ENTRY_BYTES;
        rings.set(JAVA_LONG, at, userData);
        rings.set(JAVA_INT, at + RES, result);
        rings.set(JAVA_INT, at + FLAGS, flags);
        tail++;
        if (!hidden) showTail(tail);
    }

    private void showTail(int shown) {
        INT.setRelease(rings, RingLayout.CQ_TAIL, shown);              // release: the entries before the tail that covers them
    }

    /** Lets the process see nothing that it has not read yet, nor what is posted from now on. */
    void hide() {
        if (!isMapped()) return;
        hidden = true;
        showTail((int) INT.getAcquire(rings, RingLayout.CQ_HEAD));
    }

    void show() {
        if (hidden && isMapped()) showTail(tail);
        hidden = false;
    }

    /** Posts what was kept, as far as there is room now. */
    void flush() {
        if (overflow.isEmpty() || !isMapped()) return;
        while (!overflow.isEmpty() && available() < layout.cqEntries()) {
            Kept kept = overflow.remove();
            write(kept.userData, kept.result, kept.flags);
        }
        if (overflow.isEmpty()) showOverflow(0);
    }

    private void showOverflow(int flag) {
        INT.setRelease(rings, RingLayout.SQ_FLAGS, flag);
    }

    /** How many the process has not read yet. */
    int available() {
        return isMapped() ? tail - (int) INT.getAcquire(rings, RingLayout.CQ_HEAD) : 0;
    }

    /** Whether more could be posted, if the kernel were entered. */
    boolean hasKept() {
        return !overflow.isEmpty() && available() < layout.cqEntries();
    }

    private boolean isMapped() {
        return rings.byteSize() > 0 && rings.scope().isAlive();
    }
}
