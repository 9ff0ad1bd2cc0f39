package io.reactorublk;

import io.reactorublk.uring.IoBuffer;
import io.reactorublk.uring.Kernel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.BitSet;

/**
 * Where the bytes of requests are, in copy mode: a piece of locked memory for each tag, which the driver copies a WRITE
 * into before it delivers the tag, and a READ out of when it is committed.
 *
 * <p>Touched and locked at the start, because a page fault in the path of a write-back that frees memory is a deadlock; never
 * trimmed, because the driver writes whenever a tag is armed.
 */
final class DataBuffers {

    private final MemorySegment memory;
    private final int bytesPerTag;
    private final int depth;
    private final BitSet quarantined = new BitSet();

    /**
     * @throws io.reactorublk.uring.KernelException if that much memory may not be locked
     */
    DataBuffers(Kernel kernel, int depth, int bytesPerTag, Arena arena) {
        this.depth = depth;
        this.bytesPerTag = bytesPerTag;
        memory = QueueMemory.locked(kernel, (depth + 1L) * bytesPerTag, arena);
    }

    IoBuffer buffer(int tag, int length) {
        return new IoBuffer.Segment(memory.asSlice((long) tag * bytesPerTag, length));
    }

    /** Where the driver finds the bytes of a READ of this tag, and puts those of the tag's next WRITE. */
    long address(int tag) {
        long place = quarantined.get(tag) ? depth : tag;
        return memory.address() + place * bytesPerTag;
    }

    /**
     * Withdraws a tag's memory for good, because a lost target may still be writing it somewhere. What the driver copies
     * for this tag from now on goes to a place that nobody reads.
     */
    void quarantine(int tag) {
        quarantined.set(tag);
    }
}
