package io.reactorublk;

import io.reactorublk.uring.EventLoop;
import io.reactorublk.uring.IoBuffer;
import io.reactorublk.uring.Kernel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.BitSet;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;

/**
 * Bytes in copy mode: a piece of locked memory for each tag, which the driver copies a WRITE into before it delivers the tag,
 * and a READ out of when it is committed.
 *
 * <p>Touched and locked at the start, because a page fault in the path of a write-back that frees memory is a deadlock; never
 * trimmed, because the driver writes whenever a tag is armed.
 */
final class CopiedBuffers extends DataBuffers {

    private final MemorySegment memory;
    private final int bytesPerTag;
    private final int depth;
    private final BitSet quarantined = new BitSet();

    /**
     * @throws io.reactorublk.uring.KernelException if that much memory may not be locked
     */
    CopiedBuffers(Kernel kernel, int depth, int bytesPerTag, Arena arena) {
        this.depth = depth;
        this.bytesPerTag = bytesPerTag;
        memory = QueueMemory.locked(kernel, (depth + 1L) * bytesPerTag, arena);
    }

    @Override
    IoBuffer buffer(BlockRequest request, @Nullable EventLoop loop, boolean step) {
        MemorySegment bytes = bytes(request.tag(), request.length());
        return new IoBuffer.Segment(bytes, request.owner(bytes.address(), step));
    }

    private MemorySegment bytes(int tag, long length) {
        return memory.asSlice((long) tag * bytesPerTag, length);
    }

    @Override
    Mono<Void> finish(BlockRequest request, int length) {
        if (request.isUntouched()) bytes(request.tag(), length).fill((byte) 0);
        return Mono.empty();
    }

    @Override
    boolean areVisible() {
        return true;
    }

    @Override
    long address(int tag) {
        long place = quarantined.get(tag) ? depth : tag;
        return memory.address() + place * bytesPerTag;
    }

    /** What the driver copies for this tag from now on goes to a place that nobody reads. */
    @Override
    void quarantine(int tag) {
        quarantined.set(tag);
    }
}
