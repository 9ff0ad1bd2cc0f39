package io.reactorublk;

import java.util.concurrent.atomic.AtomicBoolean;
import org.reactivestreams.Subscription;
import reactor.core.CoreSubscriber;
import reactor.core.publisher.Mono;
import reactor.core.publisher.MonoOperator;
import reactor.core.publisher.Operators;
import reactor.util.context.Context;

/**
 * Several steps that use a request's bytes one after another, as one use: between two of them nothing is under way that its
 * answer would wait for. If they fail and the request is answered with success already, that answer is not believed.
 */
final class OneUse extends MonoOperator<Void, Void> {

    private final BlockRequest request;

    private OneUse(BlockRequest request, Mono<Void> steps) {
        super(steps);
        this.request = request;
    }

    /** @param steps on its {@linkplain DataBuffers#buffer buffer} for steps */
    static Mono<Void> of(BlockRequest request, Mono<Void> steps) {
        return onAssembly(new OneUse(request, steps));
    }

    @Override
    public void subscribe(CoreSubscriber<? super Void> actual) {
        try {
            request.use();
        } catch (IllegalStateException e) {
            Operators.error(actual, e);
            return;
        }
        source.subscribe(new Use(request, actual));
    }

    /** Ends once: with the steps, or when they are cancelled. The one under way then is a use of its own until it has ended. */
    private static final class Use extends AtomicBoolean implements CoreSubscriber<Void>, Subscription {

        private final BlockRequest request;
        private final CoreSubscriber<? super Void> actual;
        private Subscription steps = Operators.emptySubscription();

        Use(BlockRequest request, CoreSubscriber<? super Void> actual) {
            this.request = request;
            this.actual = actual;
        }

        @Override
        public Context currentContext() {
            return actual.currentContext();
        }

        @Override
        public void onSubscribe(Subscription subscription) {
            steps = subscription;
            actual.onSubscribe(this);
        }

        @Override
        public void onNext(Void nothing) {}

        @Override
        public void onComplete() {
            if (end(false)) actual.onComplete();
        }

        @Override
        public void onError(Throwable e) {
            if (end(true)) actual.onError(e);
        }

        @Override
        public void request(long n) {
            steps.request(n);
        }

        @Override
        public void cancel() {
            steps.cancel();
            end(false);
        }

        private boolean end(boolean failed) {
            if (!compareAndSet(false, true)) return false;
            request.endUse(failed);
            return true;
        }
    }
}
