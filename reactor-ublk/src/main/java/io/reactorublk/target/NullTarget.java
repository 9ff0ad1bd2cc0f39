package io.reactorublk.target;

import io.reactorublk.BlockQueue;
import io.reactorublk.BlockTarget;
import io.reactorublk.Completion;
import org.reactivestreams.Publisher;
import reactor.core.publisher.Mono;

/**
 * Answers everything at once and touches no bytes: the least a target can do, and so the most a device can give.
 *
 * <p>What was written is gone, and a READ returns zeroes: to measure with, not to keep anything on.
 */
public final class NullTarget implements BlockTarget {

    /** There is nothing to choose. */
    public NullTarget() {}

    @Override
    public Publisher<Completion> serve(BlockQueue queue) {
        return queue.answer(request -> Mono.just(request.complete()));
    }
}
