package io.reactorublk.target;

import io.reactorublk.BlockQueue;
import io.reactorublk.BlockRequest;
import io.reactorublk.BlockTarget;
import io.reactorublk.Completion;
import io.reactorublk.Operation;
import io.reactorublk.uring.Errno;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicReferenceArray;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Publisher;
import reactor.core.publisher.Mono;

/**
 * A disk in memory, the same for all queues and all devices that serve it, at once or one after another.
 *
 * <p>Memory is taken in chunks of {@value #CHUNK_BYTES} bytes when they are first written, outside the Java heap; what was
 * never written reads as zeroes and needs none. DISCARD and WRITE_ZEROES make zeroes too, and free nothing.
 *
 * <p>The content lives until {@link #close}, not with a device. Who never closes it keeps its memory until the process ends.
 *
 * <p>On a device that is larger than this, a request that reaches beyond the end fails: with EIO if it reads, else ENOSPC.
 */
public final class RamTarget implements BlockTarget, AutoCloseable {

    private static final int CHUNK_BYTES = 64 << 10;
    private static final long MAX_BYTES = (long) Integer.MAX_VALUE * CHUNK_BYTES;

    private final long sizeBytes;
    private final Arena arena = Arena.ofShared();                      // shared: each queue has a thread
    private final AtomicReferenceArray<@Nullable MemorySegment> chunks;
    private final MemorySegment zeroes = arena.allocate(CHUNK_BYTES);

    /**
     * An empty disk, all zeroes.
     *
     * @param sizeBytes at least 1; 4 bytes of heap are needed for each chunk, written or not
     */
    public RamTarget(long sizeBytes) {
        if (sizeBytes < 1 || sizeBytes > MAX_BYTES) {
            throw new IllegalArgumentException("a RAM disk of " + sizeBytes + " bytes: from 1 to " + MAX_BYTES + " are possible");
        }
        this.sizeBytes = sizeBytes;
        chunks = new AtomicReferenceArray<>((int) ((sizeBytes + CHUNK_BYTES - 1) / CHUNK_BYTES));
    }

    /** How large it is, in bytes: for {@link io.reactorublk.UblkServer#size}. */
    public long sizeBytes() {
        return sizeBytes;
    }

    @Override
    public Publisher<Completion> serve(BlockQueue queue) {
        requireOpen();
        return queue.answer(request -> request.isVisible() ? Mono.just(answer(request)) : copy(request));
    }

    private Completion answer(BlockRequest request) {
        requireOpen();
        long offset = request.offset();
        long length = request.length();
        if (offset > sizeBytes - length) return request.fail(request.operation() == Operation.READ ? Errno.EIO : Errno.ENOSPC);
        switch (request.operation()) {
            case READ -> read(request.data(), offset);
            case WRITE -> write(request.data(), offset);
            case DISCARD, WRITE_ZEROES -> zero(offset, length);
            case FLUSH -> { }                                          // memory is as durable as it will ever be
        }
        return request.complete();
    }

    /** In a {@link io.reactorublk.DataMode} that keeps the bytes in the kernel: between there and the chunks. */
    private Mono<Completion> copy(BlockRequest request) {
        boolean moves = request.operation() == Operation.READ || request.operation() == Operation.WRITE;
        if (!moves || request.offset() > sizeBytes - request.length()) return Mono.just(answer(request));
        requireOpen();
        List<Mono<Void>> parts = new ArrayList<>();
        forEachChunk(request.offset(), request.length(), (index, from, done, bytes) -> {
            if (request.operation() == Operation.WRITE) {
                parts.add(request.look((int) done, chunkToWrite(index).asSlice(from, bytes)));
            } else {
                MemorySegment chunk = chunks.get(index);
                parts.add(request.fill((int) done, (chunk == null ? zeroes : chunk).asSlice(from, bytes)));
            }
        });
        return Mono.whenDelayError(parts).thenReturn(request.complete());   // not before the last has let go of its chunk
    }

    private void read(MemorySegment data, long offset) {
        forEachChunk(offset, data.byteSize(), (index, from, done, bytes) -> {
            MemorySegment chunk = chunks.get(index);
            if (chunk == null) {
                data.asSlice(done, bytes).fill((byte) 0);
            } else {
                MemorySegment.copy(chunk, from, data, done, bytes);
            }
        });
    }

    private void write(MemorySegment data, long offset) {
        forEachChunk(offset, data.byteSize(),
                (index, from, done, bytes) -> MemorySegment.copy(data, done, chunkToWrite(index), from, bytes));
    }

    private void zero(long offset, long length) {
        forEachChunk(offset, length, (index, from, done, bytes) -> {
            MemorySegment chunk = chunks.get(index);
            if (chunk != null) chunk.asSlice(from, bytes).fill((byte) 0);
        });
    }

    private MemorySegment chunkToWrite(int index) {
        MemorySegment chunk = chunks.get(index);
        if (chunk != null) return chunk;
        MemorySegment mine = arena.allocate(CHUNK_BYTES);
        MemorySegment others = chunks.compareAndExchange(index, null, mine);
        return others == null ? mine : others;                         // two queues at once: mine stays unused until the end
    }

    /** The part of a range that lies in one chunk. */
    @FunctionalInterface
    private interface Part {
        void visit(int index, long from, long done, long bytes);
    }

    private static void forEachChunk(long offset, long length, Part part) {
        long bytes;
        for (long done = 0; done < length; done += bytes) {
            long from = (offset + done) % CHUNK_BYTES;
            bytes = Math.min(CHUNK_BYTES - from, length - done);
            part.visit((int) ((offset + done) / CHUNK_BYTES), from, done, bytes);
        }
    }

    /** What was never written has no memory that could tell. */
    private void requireOpen() {
        if (!arena.scope().isAlive()) throw new IllegalStateException(this + " is closed and has no content any more");
    }

    /**
     * Frees the memory. To be called when no device serves it; one that still does answers EIO from then on.
     *
     * @throws IllegalStateException if it is closed already
     */
    @Override
    public void close() {
        arena.close();
    }

    @Override
    public String toString() {
        return "RamTarget(" + sizeBytes + " bytes)";
    }
}
