package io.reactorublk;

import java.util.concurrent.atomic.AtomicInteger;
import org.reactivestreams.Publisher;
import org.reactivestreams.Subscription;
import reactor.core.publisher.BaseSubscriber;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Sinks;

/** Asks for requests only as the test does, through the bare subscription, and answers each at once. */
final class ManualTarget implements BlockTarget {

    private final AtomicInteger arrived = new AtomicInteger();
    private final Sinks.One<Subscription> subscription = Sinks.one();

    @Override
    public Publisher<Completion> serve(BlockQueue queue) {
        return Flux.create(sink -> queue.subscribe(new BaseSubscriber<>() {

            @Override
            protected void hookOnSubscribe(Subscription s) {
                subscription.tryEmitValue(s);
            }

            @Override
            protected void hookOnNext(BlockRequest request) {
                arrived.incrementAndGet();
                sink.next(request.complete());
            }

            @Override
            protected void hookOnComplete() {
                sink.complete();
            }

            @Override
            protected void hookOnError(Throwable e) {
                sink.error(e);
            }
        }));
    }

    void request(long n) {
        subscription.asMono().subscribe(s -> s.request(n));
    }

    void cancel() {
        subscription.asMono().subscribe(Subscription::cancel);
    }

    int arrived() {
        return arrived.get();
    }
}
