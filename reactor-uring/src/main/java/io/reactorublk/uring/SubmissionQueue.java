package io.reactorublk.uring;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import io.reactorublk.uring.abi.io_sqring_offsets;
import io.reactorublk.uring.abi.io_uring_params;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;

/**
 * The half of a ring that we write: entries, and a tail that publishes them. The kernel moves the head.
 *
 * <pre>
 *            head (kernel)      published      tail (ours)
 *                 |                 |              |
 *   [ free ... ][ with the kernel ][ staged ... ][ free ... ]     indices grow for ever; mask & index is the place
 * </pre>
 */
final class SubmissionQueue {

    private static final VarHandle INT = JAVA_INT.varHandle();

    private final MemorySegment ring;
    private final MemorySegment entries;
    private final long headOffset;
    private final long tailOffset;
    private final int mask;
    private final int entryShift;
    private int tail;

    SubmissionQueue(MemorySegment ring, MemorySegment entries, MemorySegment params, int entryBytes) {
        MemorySegment offsets = io_uring_params.sq_off(params);
        this.ring = ring;
        this.entries = entries;
        this.headOffset = Integer.toUnsignedLong(io_sqring_offsets.head(offsets));
        this.tailOffset = Integer.toUnsignedLong(io_sqring_offsets.tail(offsets));
        this.mask = io_uring_params.sq_entries(params) - 1;
        this.entryShift = Integer.numberOfTrailingZeros(entryBytes);
    }

    /** Without NO_SQARRAY the kernel looks entries up through an array of indices; ours never changes. */
    void identityArray(MemorySegment params) {
        long array = Integer.toUnsignedLong(io_sqring_offsets.array(io_uring_params.sq_off(params)));
        for (int i = 0; i <= mask; i++) ring.set(JAVA_INT, array + 4L * i, i);
    }

    /** Whether {@code count} entries can be staged without a system call. */
    boolean hasRoom(int count) {
        return mask + 1 - unsubmitted() >= count;
    }

    int capacity() {
        return mask + 1;
    }

    MemorySegment entries() {
        return entries;
    }

    /** Takes the next entry, zeroed. Where there is no room the caller submits first. */
    long next() {
        long offset = (long) (tail & mask) << entryShift;
        entries.asSlice(offset, 1L << entryShift).fill((byte) 0);
        tail++;
        return offset;
    }

    /** Entries that the kernel has not taken yet. */
    int unsubmitted() {
        return tail - (int) INT.getAcquire(ring, headOffset);          // acquire: what it left is ours to overwrite
    }

    /** Shows the kernel everything staged. */
    void publish() {
        INT.setRelease(ring, tailOffset, tail);                        // release: the entries before the tail that covers them
    }
}
