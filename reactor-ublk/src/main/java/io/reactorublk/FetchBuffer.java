package io.reactorublk;

import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import io.reactorublk.uring.BufferRing;
import io.reactorublk.uring.Kernel;
import io.reactorublk.uring.Ring;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * A circle of two-byte slots, lent to the kernel piece by piece for it to write tags into. A slot lent is a request the
 * kernel may deliver, and nothing else is.
 *
 * <pre>
 *      taken                lent
 *        |                    |
 *   [...][ granted: with the kernel ][ free ...]      positions count for ever; position % slots is the place
 *         ^--piece--^---piece---^
 * </pre>
 *
 * The kernel uses the pieces up in order, from their start, so the next tag is always at {@code taken}.
 */
final class FetchBuffer {

    /** Bytes per tag in the kernel's messages: a u16. */
    static final int SLOT = Short.BYTES;

    private final BufferRing buffers;
    private final MemorySegment memory;
    private final int slots;
    /** Where each lent piece ends, in a circle; the pieces before {@code firstPiece} have been used up. */
    private final int[] pieceEnds;
    private int firstPiece;
    private int nextPiece;
    private int taken;
    private int lent;

    /**
     * On the ring's thread. Two times the depth: while one half is used up the other can be lent in one piece.
     *
     * @param group which no other queue on this ring has
     */
    FetchBuffer(Ring ring, int group, MemorySegment memory, int depth) {
        this.memory = memory;
        slots = slots(depth);
        buffers = new BufferRing(ring, group, slots, true);
        pieceEnds = new int[buffers.capacity()];
    }

    static MemorySegment allocate(Kernel kernel, int depth, Arena arena) {
        return QueueMemory.locked(kernel, (long) slots(depth) * SLOT, arena);
    }

    private static int slots(int depth) {
        return 2 * depth;
    }

    int group() {
        return buffers.group();
    }

    /** Slots lent and not used yet. */
    int granted() {
        return lent - taken;
    }

    /** Slots that can be lent. */
    int free() {
        return slots - granted();
    }

    /** Lends so many slots, in one piece, or two where the circle ends. */
    void grant(int count) {
        while (count > 0) {
            int place = Integer.remainderUnsigned(lent, slots);
            int piece = Math.min(count, slots - place);
            lent += piece;
            count -= piece;
            forgetUsedPieces();
            buffers.offer(memory.address() + (long) place * SLOT, piece * SLOT, 0);
            pieceEnds[nextPiece++ & pieceEnds.length - 1] = lent;
        }
        buffers.publish();
    }

    private void forgetUsedPieces() {
        while (firstPiece != nextPiece && pieceEnds[firstPiece & pieceEnds.length - 1] - taken <= 0) firstPiece++;
    }

    /** The next tag the kernel wrote. */
    int take() {
        int place = Integer.remainderUnsigned(taken++, slots);
        return Short.toUnsignedInt(memory.get(JAVA_SHORT, (long) place * SLOT));
    }

    /**
     * Whether the kernel has used up just what it has told us of. If its completion queue was full it has used slots that it
     * could not report, and the tags wait in the driver again.
     */
    boolean agrees() {
        forgetUsedPieces();
        return buffers.agrees(firstPiece, memory.address() + (long) Integer.remainderUnsigned(taken, slots) * SLOT);
    }

    /** Takes everything back and lends as much again, from the start. Only while no fetch is in the kernel. */
    void rebuild() {
        int count = granted();
        buffers.reset();
        firstPiece = nextPiece = taken = lent = 0;
        grant(count);
    }

    void close() {
        buffers.close();
    }
}
