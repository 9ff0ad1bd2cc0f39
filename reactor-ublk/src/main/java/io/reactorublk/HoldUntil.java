package io.reactorublk;

import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Subscription;
import reactor.core.CoreSubscriber;
import reactor.core.publisher.Flux;
import reactor.core.publisher.FluxOperator;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Operators;
import reactor.util.Logger;
import reactor.util.Loggers;
import reactor.util.context.Context;

/**
 * Holds each request back until something has happened. An operator of its own because it passes demand on as it is, which
 * {@code flatMap} does not, and lets requests overtake each other, which {@code delayUntil} does not.
 *
 * <p>Needs no lock: requests are delivered on the queue's loop, and what they wait for completes there.
 */
final class HoldUntil extends FluxOperator<BlockRequest, BlockRequest> {

    private static final Logger LOG = Loggers.getLogger(HoldUntil.class);

    private final Function<? super BlockRequest, ? extends Mono<?>> gate;

    HoldUntil(Flux<? extends BlockRequest> requests, Function<? super BlockRequest, ? extends Mono<?>> gate) {
        super(requests);
        this.gate = gate;
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
            Mono<?> opening;
            try {
                opening = gate.apply(request);
            } catch (Throwable e) {                                    // costs one request, never the queue
                opening = Mono.error(e);
            }
            if (opening == Mono.empty()) {                             // the one empty Mono: there is nothing to wait for
                actual.onNext(request);
                return;
            }
            holding++;
            opening.subscribe(nothing -> {}, e -> refuse(request, e), () -> release(request));
        }

        private void release(BlockRequest request) {
            holding--;
            if (ended) {
                Operators.onDiscard(request, currentContext());        // the queue answers it
                return;
            }
            if (request.isInFlight()) pass(request);                   // else the queue answered it in its target's place
            completeIfEmpty();
        }

        /** No queue waits here for what its subscriber throws, and what opened the gate would keep it to itself. */
        private void pass(BlockRequest request) {
            try {
                actual.onNext(request);
            } catch (Throwable e) {
                request.queue().lost(e);
            }
        }

        private void refuse(BlockRequest request, Throwable e) {
            LOG.warn(request + " is answered with EIO because what it waited for failed", e);
            holding--;
            Operators.onDiscard(request, currentContext());
            if (!ended) request(1);                                    // in its place
            completeIfEmpty();
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
