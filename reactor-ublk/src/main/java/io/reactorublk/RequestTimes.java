package io.reactorublk;

import io.reactorublk.uring.Kernel;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * How long requests take, for a listener and for who must not be late: from the completion of the fetch that brought one to the commit that takes its answer
 * along, before which no application hears of it. So the clock, which costs more than all the rest here, is read once for all
 * that arrive together, and once for all that leave together. On the loop.
 */
final class RequestTimes {

    private final Kernel kernel;
    private final QueueListener listener;
    private final long[] arrivedNanos;
    /** Answers that wait for their commit: a tag has one at most. */
    private final @Nullable BlockRequest[] answered;
    private final int[] results;
    private int waiting;
    private long arrivalNanos;

    RequestTimes(Kernel kernel, QueueListener listener, int depth) {
        this.kernel = kernel;
        this.listener = listener;
        arrivedNanos = new long[depth];
        answered = new BlockRequest[depth];
        results = new int[depth];
    }

    /** Some have arrived, now. */
    void arrive() {
        arrivalNanos = kernel.nanoTime();
    }

    /** One of them. It may be delivered later: it waits here and no longer in the kernel. */
    void arrived(int tag) {
        arrivedNanos[tag] = arrivalNanos;
    }

    /** When it came. */
    long arrivedNanos(int tag) {
        return arrivedNanos[tag];
    }

    /** Leaves with the next commit. */
    void answered(BlockRequest request, int result) {
        answered[waiting] = request;
        results[waiting++] = result;
    }

    /** What was answered leaves, now. */
    void leave() {
        if (waiting == 0) return;
        long now = kernel.nanoTime();
        for (int i = 0; i < waiting; i++) {
            BlockRequest request = answered[i];
            if (request != null) listener.onCompleted(request, results[i], now - arrivedNanos[request.tag()]);
        }
        Arrays.fill(answered, 0, waiting, null);
        waiting = 0;
    }
}
