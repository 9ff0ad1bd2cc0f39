package io.reactorublk;

import org.reactivestreams.Publisher;

/**
 * What gives a device its behaviour: a function from a queue of requests to a publisher of their completions.
 *
 * <p>Most targets are one line, {@code queue -> queue.answer(request -> …)}; the others may use any operator, and owe one
 * completion per request, in any order, from any thread. A request that is neither answered nor discarded keeps an
 * application waiting.
 *
 * <p>A target that fails or ends before its queue does is lost: what it held is answered with EIO, and so is all that
 * comes, until the device is disposed.
 */
@FunctionalInterface
public interface BlockTarget {

    /**
     * Serves one queue. Called once for each queue of each device, on the queue's loop, where the publisher is subscribed
     * too. When the device stops the queue completes, and the publisher should then release what it holds and complete.
     *
     * @param queue to be subscribed once
     * @return its completions; everything is requested from it at once, since the tags in flight bound it
     */
    Publisher<Completion> serve(BlockQueue queue);
}
