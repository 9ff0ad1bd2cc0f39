package io.reactorublk.memory;

import io.reactorublk.BlockQueue;
import io.reactorublk.BlockRequest;
import io.reactorublk.BlockTarget;
import io.reactorublk.Completion;
import io.reactorublk.UblkDevice;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Publisher;
import org.reactivestreams.Subscription;
import reactor.core.CoreSubscriber;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Operators;
import reactor.core.publisher.Sinks;

/**
 * A queue without a target: a test subscribes to it and answers. Everything below it is as in a device that serves.
 */
public final class MemoryQueue {

    private final Source source;
    private final UblkDevice device;
    private final MemoryDisk disk;

    MemoryQueue(Source source, UblkDevice device, MemoryDisk disk) {
        this.source = source;
        this.device = device;
        this.disk = disk;
    }

    /** The queue, to be subscribed once. Its subscriber hears {@code onSubscribe} at once and the rest while time passes. */
    public BlockQueue queue() {
        return source.queue();
    }

    /** The application's side of the device. */
    public MemoryDisk disk() {
        return disk;
    }

    /** The device, to be disposed. */
    public UblkDevice device() {
        return device;
    }

    /** Answers a request. */
    public void answer(Completion completion) {
        source.answers.emitNext(completion, Sinks.EmitFailureHandler.FAIL_FAST);
    }

    /** Ends the target, which the queue then does without. */
    public void endTarget() {
        source.answers.emitComplete(Sinks.EmitFailureHandler.FAIL_FAST);
    }

    /** The target: has subscribed when the device starts, and lends its subscription to whoever subscribes later. */
    static final class Source extends Flux<BlockRequest> implements BlockTarget, CoreSubscriber<BlockRequest>, Subscription {

        final Sinks.Many<Completion> answers = Sinks.unsafe().many().unicast().onBackpressureBuffer();
        private final AtomicBoolean subscribed = new AtomicBoolean();
        private @Nullable BlockQueue queue;
        private @Nullable Subscription subscription;
        private volatile @Nullable CoreSubscriber<? super BlockRequest> subscriber;

        BlockQueue queue() {
            return Objects.requireNonNull(queue);
        }

        @Override
        public Publisher<Completion> serve(BlockQueue served) {
            served.subscribe(this);
            queue = served.via(requests -> this);
            return answers.asFlux();
        }

        @Override
        public void onSubscribe(Subscription s) {
            subscription = s;
        }

        @Override
        public void subscribe(CoreSubscriber<? super BlockRequest> actual) {
            if (!subscribed.compareAndSet(false, true)) {
                Operators.error(actual, new IllegalStateException(queue + " has a subscriber already: each request can be answered once"));
                return;
            }
            subscriber = actual;
            actual.onSubscribe(this);
        }

        @Override
        public void request(long n) {
            Objects.requireNonNull(subscription).request(n);
        }

        /** The target ends with its queue. Who cancels is forgotten (Reactive Streams 3.13). */
        @Override
        public void cancel() {
            subscriber = null;
            Objects.requireNonNull(subscription).cancel();
            answers.tryEmitComplete();
        }

        @Override
        public void onNext(BlockRequest request) {
            CoreSubscriber<? super BlockRequest> actual = subscriber;
            if (actual != null) actual.onNext(request);                // else the queue answers, which was cancelled
        }

        @Override
        public void onError(Throwable e) {
            CoreSubscriber<? super BlockRequest> actual = subscriber;
            if (actual != null) actual.onError(e);
            answers.tryEmitComplete();
        }

        @Override
        public void onComplete() {
            CoreSubscriber<? super BlockRequest> actual = subscriber;
            if (actual != null) actual.onComplete();
            answers.tryEmitComplete();
        }
    }
}
