package io.reactorublk.samples.mirror;

import io.reactorublk.BlockQueue;
import io.reactorublk.BlockRequest;
import io.reactorublk.Operation;
import io.reactorublk.QueueListener;
import java.util.concurrent.atomic.LongAdder;

/** Counts what the queues of a device tell. */
final class Traffic implements QueueListener {

    private final LongAdder inFlight = new LongAdder();
    private final LongAdder requests = new LongAdder();
    private final LongAdder failures = new LongAdder();
    private final LongAdder readBytes = new LongAdder();
    private final LongAdder writtenBytes = new LongAdder();

    @Override
    public void onFetched(BlockQueue queue, int tags) {
        inFlight.add(tags);
    }

    @Override
    public void onCompleted(BlockRequest request, int result, long nanos) {
        inFlight.decrement();
        requests.increment();
        if (result < 0) failures.increment();
        if (result > 0 && request.operation() == Operation.READ) readBytes.add(result);
        if (result > 0 && request.operation() == Operation.WRITE) writtenBytes.add(result);
    }

    long inFlight() {
        return inFlight.sum();
    }

    long requests() {
        return requests.sum();
    }

    long failures() {
        return failures.sum();
    }

    long readBytes() {
        return readBytes.sum();
    }

    long writtenBytes() {
        return writtenBytes.sum();
    }
}
