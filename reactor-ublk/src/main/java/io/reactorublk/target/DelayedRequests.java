package io.reactorublk.target;

import io.reactorublk.BlockRequest;
import io.reactorublk.uring.EventLoop;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Subscription;
import reactor.core.CoreSubscriber;
import reactor.core.publisher.Flux;
import reactor.core.publisher.FluxOperator;
import reactor.core.publisher.Operators;
import reactor.util.context.Context;

/**
 * Holds some requests back for a while. An operator of its own because it passes demand on as it is, which {@code flatMap}
 * does not, and lets requests overtake each other, which {@code delaySequence} does not.
 *
 * <p>Needs no lock: requests are delivered on the loop, and the loop's timers run there.
 */
final class DelayedRequests extends FluxOperator<BlockRequest, BlockRequest> {

    private final EventLoop loop;
    private final Predicate<BlockRequest> held;
    private final long delayNanos;

    DelayedRequests(Flux<? extends BlockRequest> requests, EventLoop loop, Predicate<BlockRequest> held, Duration delay) {
        super(requests);
        this.loop = loop;
        this.held = held;
        delayNanos = TimeUnit.NANOSECONDS.convert(delay);              // not toNanos, which cannot say "for ever"
    }

    @Override
    public void subscribe(CoreSubscriber<? super BlockRequest> actual) {
        source.subscribe(new Holder(actual));
    }

    private final class Holder implements CoreSubscriber<BlockRequest>, Subscription {

        private final CoreSubscriber<? super BlockRequest> actual;
        private @Nullable Subscription requests;
        private int holding;
        private boolean completed;
        private volatile boolean ended;

        Holder(CoreSubscriber<? super BlockRequest> actual) {
            this.actual = actual;
        }

        @Override
        public Context currentContext() {
            return actual.currentContext();
        }

        @Override
        public void onSubscribe(Subscription subscription) {
            requests = subscription;
            actual.onSubscribe(this);
        }

        @Override
        public void onNext(BlockRequest request) {
            if (held.test(request)) {
                holding++;
                loop.schedule(() -> release(request), delayNanos, TimeUnit.NANOSECONDS);
            } else {
                actual.onNext(request);
            }
        }

        private void release(BlockRequest request) {
            holding--;
            if (ended) {
                Operators.onDiscard(request, currentContext());        // the queue answers it
            } else {
                actual.onNext(request);
                completeIfEmpty();
            }
        }

        @Override
        public void onComplete() {
            completed = true;
            completeIfEmpty();
        }

        private void completeIfEmpty() {
            if (!completed || holding > 0 || ended) return;
            ended = true;
            actual.onComplete();
        }

        @Override
        public void onError(Throwable e) {
            if (ended) return;
            ended = true;
            actual.onError(e);
        }

        @Override
        public void request(long n) {
            if (requests != null) requests.request(n);
        }

        @Override
        public void cancel() {
            ended = true;
            if (requests != null) requests.cancel();
        }
    }
}
