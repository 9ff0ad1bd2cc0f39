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
 *    0  tag u16   2  buf_index u16   4  result s32   8  buf_addr u64      16 bytes an element if the driver copies, else 8
 * </pre>
 *
 * {@code buf_addr} is both where a READ's bytes are and where those of the tag's next WRITE will go; {@code buf_index} is where
 * the pages of the tag's next request will be registered. Mirrors {@code struct ublk_elem_header}.
 */
final class CommitBuffer {

    private static final int HEADER_BYTES = (int) ublk_elem_header.layout().byteSize();
    private static final long TAG = ublk_elem_header.tag$offset();
    private static final long INDEX = ublk_elem_header.buf_index$offset();
    private static final long RESULT = ublk_elem_header.result$offset();
    private static final long ADDRESS = HEADER_BYTES;

    private final int elementBytes;
    private final MemorySegment elements;
    private int count;
    private int accepted;

    CommitBuffer(DataMode mode, Kernel kernel, int depth, Arena arena) {
        elementBytes = mode == DataMode.COPY ? HEADER_BYTES + Long.BYTES : HEADER_BYTES;
        elements = QueueMemory.locked(kernel, (long) depth * elementBytes, arena);
    }

    int elementBytes() {
        return elementBytes;
    }

    /** A tag is in flight once, so there is room for it. */
    void add(int tag, int result, DataBuffers data) {
        long element = (long) count++ * elementBytes;
        elements.set(JAVA_SHORT, element + TAG, (short) tag);
        elements.set(JAVA_SHORT, element + INDEX, (short) data.index(tag));
        elements.set(JAVA_INT, element + RESULT, result);
        if (elementBytes > HEADER_BYTES) elements.set(JAVA_LONG, element + ADDRESS, data.address(tag));
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
        return elements.asSlice((long) accepted * elementBytes, (long) pending() * elementBytes);
    }

    /** The kernel took so many bytes of elements, in order. */
    void accept(int bytes) {
        accepted += bytes / elementBytes;
    }

    void clear() {
        count = 0;
        accepted = 0;
    }
}
