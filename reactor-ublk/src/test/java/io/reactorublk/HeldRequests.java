package io.reactorublk;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import reactor.core.publisher.Mono;
import reactor.core.publisher.MonoSink;

/** Keeps the test's own requests until the test answers them. Reads give the block's number in every byte. */
final class HeldRequests {

    private record Held(BlockRequest request, MonoSink<Completion> sink) {}

    private final List<Held> held = new ArrayList<>();
    private boolean open;
    private int most;

    /** A handler. */
    Mono<Completion> hold(BlockRequest request) {
        if (!DeviceContract.isQuiet(request)) return Mono.just(request.complete());
        return Mono.create(sink -> add(new Held(request, sink)));
    }

    private void add(Held one) {
        synchronized (this) {
            if (!open) {
                held.add(one);
                most = Math.max(most, held.size());
                return;
            }
        }
        answer(one, HeldRequests::done);
    }

    private static Completion done(BlockRequest request) {
        if (request.operation() == Operation.READ) request.data().fill(numberOf(request.offset()));
        return request.complete();
    }

    static byte numberOf(long offset) {
        return (byte) (offset / DeviceContract.BLOCK);
    }

    private static void answer(Held one, Function<BlockRequest, Completion> how) {
        one.sink.success(how.apply(one.request));
    }

    synchronized int size() {
        return held.size();
    }

    synchronized List<BlockRequest> requests() {
        return held.stream().map(Held::request).toList();
    }

    /** The most there ever were at a time. */
    synchronized int most() {
        return most;
    }

    /** Answers those that are here, the last one first. */
    void answerLastFirst() {
        answer(HeldRequests::done);
    }

    void answer(Function<BlockRequest, Completion> how) {
        for (Held one : take().reversed()) answer(one, how);
    }

    private synchronized List<Held> take() {
        List<Held> all = new ArrayList<>(held);
        held.clear();
        return all;
    }

    /** Answers those that are here, and from now on each as it comes. */
    void open() {
        List<Held> all;
        synchronized (this) {
            open = true;
            all = take();
        }
        for (Held one : all) answer(one, HeldRequests::done);
    }
}
