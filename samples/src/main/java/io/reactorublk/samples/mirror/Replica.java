package io.reactorublk.samples.mirror;

import io.reactorublk.BlockRequest;
import io.reactorublk.uring.EventLoop;
import io.reactorublk.uring.IoBuffer;
import reactor.core.publisher.Mono;

/**
 * One copy of the data, as one loop uses it. Every operation is all or error: a replica that did half of a write has failed.
 * Each {@code Mono} signals on that loop; offsets count from the start of the data. Whether a replica is live is not its own
 * business but that of the {@link MirrorSet}.
 */
public interface Replica {

    /**
     * Does a READ or WRITE, with the request's own bytes. A write that is {@link BlockRequest#isFua} is durable when this
     * completes. If it is cancelled, the request's bytes stay in use until it has ended.
     */
    Mono<Void> transfer(BlockRequest request);

    /** Fills the buffer. */
    Mono<Void> read(IoBuffer buffer, long offset);

    /**
     * Stores the buffer.
     *
     * @param durable whether it must be durable when this completes
     */
    Mono<Void> write(IoBuffer buffer, long offset, boolean durable);

    /** Makes every write that has completed durable. After an error some of them may be lost: it must not be tried again. */
    Mono<Void> flush();

    /** Gives up a range. It reads as zeroes from now on, so that all replicas read the same. */
    Mono<Void> discard(long offset, long length);

    /** Makes a range read as zeroes. */
    Mono<Void> zero(long offset, long length, boolean keepAllocated);

    /** Releases what it holds, once everything has ended, what was cancelled too. */
    Mono<Void> close();

    /** Where replicas come from: each queue opens those of its own loop. */
    @FunctionalInterface
    interface Source {

        /** Opens a member of the set for one loop. */
        Mono<Replica> open(int member, EventLoop loop);
    }
}
