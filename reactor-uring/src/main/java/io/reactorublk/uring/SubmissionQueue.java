package io.reactorublk.uring;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;

import io.reactorublk.uring.abi.io_sqring_offsets;
import io.reactorublk.uring.abi.io_uring_params;
import io.reactorublk.uring.abi.io_uring_sqe;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;

/**
 * The half of a ring that we write: entries, and a tail that publishes them.
 *
 * <pre>
 *               taken           tail
 *                 |              |
 *   [ free ... ][ staged ...... ][ free ... ]     indices grow for ever; mask & index is the place
 * </pre>
 *
 * The kernel moves its head with {@code taken}, which we need not read: without a polling thread it takes entries only inside
 * {@code io_uring_enter}, which returns how many.
 */
final class SubmissionQueue {

    private static final VarHandle INT = JAVA_INT.varHandle();
    private static final long USER_DATA = io_uring_sqe.user_data$offset();
    private static final int SMALL_ENTRY_BYTES = (int) io_uring_sqe.layout().byteSize();
    private static final int SMALL_ENTRY_SHIFT = Integer.numberOfTrailingZeros(SMALL_ENTRY_BYTES);

    private final MemorySegment ring;
    private final MemorySegment entries;
    private final long tailOffset;
    private final int mask;
    private final int entryShift;
    private int tail;
    private int taken;

    SubmissionQueue(MemorySegment ring, MemorySegment entries, MemorySegment params, int entryBytes) {
        MemorySegment offsets = io_uring_params.sq_off(params);
        this.ring = ring;
        this.entries = entries;
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
        return mask + 1 - (tail - taken) >= count;
    }

    int capacity() {
        return mask + 1;
    }

    MemorySegment entries() {
        return entries;
    }

    /** Takes the next entry, zeroed but for this. Where there is no room the caller submits first. */
    long next(long userData) {
        MemorySegment entries = this.entries;
        long offset = (long) (tail++ & mask) << entryShift;
        for (int word = 0; word < SMALL_ENTRY_BYTES; word += Long.BYTES) entries.set(JAVA_LONG_UNALIGNED, offset + word, 0);
        entries.set(JAVA_LONG_UNALIGNED, offset + USER_DATA, userData);
        if (entryShift != SMALL_ENTRY_SHIFT) entries.asSlice(offset + SMALL_ENTRY_BYTES, SMALL_ENTRY_BYTES).fill((byte) 0);
        return offset;
    }

    /** Shows the kernel everything staged. Returns how many entries it has not taken yet. */
    int publish() {
        INT.setRelease(ring, tailOffset, tail);                        // release: the entries before the tail that covers them
        return tail - taken;
    }

    /** The kernel says that it has taken so many. It reads entries only while it is entered, so their places are free again. */
    void taken(int count) {
        taken += count;
    }
}
