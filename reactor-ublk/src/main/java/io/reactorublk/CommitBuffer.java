package io.reactorublk;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import io.reactorublk.abi.ublk_elem_header;
import io.reactorublk.uring.Kernel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Results waiting for the next commit. A queue has two: one that fills, one that is with the kernel.
 *
 * <pre>
 *    0  tag u16   2  buf_index u16   4  result s32   8  buf_addr u64      16 bytes an element
 * </pre>
 *
 * {@code buf_addr} is both where a READ's bytes are and where those of the tag's next WRITE will go. Mirrors
 * {@code struct ublk_elem_header} with {@code UBLK_BATCH_F_HAS_BUF_ADDR}.
 */
final class CommitBuffer {

    static final int ELEMENT_BYTES = (int) ublk_elem_header.layout().byteSize() + Long.BYTES;

    private static final long TAG = ublk_elem_header.tag$offset();
    private static final long RESULT = ublk_elem_header.result$offset();
    private static final long ADDRESS = ublk_elem_header.layout().byteSize();

    private final MemorySegment elements;
    private int count;
    private int accepted;

    CommitBuffer(Kernel kernel, int depth, Arena arena) {
        elements = QueueMemory.locked(kernel, (long) depth * ELEMENT_BYTES, arena);
    }

    /** A tag is in flight once, so there is room for it. */
    void add(int tag, int result, long address) {
        long element = (long) count++ * ELEMENT_BYTES;
        elements.set(JAVA_SHORT, element + TAG, (short) tag);
        elements.set(JAVA_INT, element + RESULT, result);
        elements.set(JAVA_LONG, element + ADDRESS, address);
    }

    boolean isEmpty() {
        return count == 0;
    }

    /** Elements the kernel has not accepted yet. */
    int pending() {
        return count - accepted;
    }

    /** The elements not accepted yet. */
    MemorySegment remaining() {
        return elements.asSlice((long) accepted * ELEMENT_BYTES, (long) pending() * ELEMENT_BYTES);
    }

    /** The kernel took so many bytes of elements, in order. */
    void accept(int bytes) {
        accepted += bytes / ELEMENT_BYTES;
    }

    void clear() {
        count = 0;
        accepted = 0;
    }
}
