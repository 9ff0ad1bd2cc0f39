package io.reactorublk;

import org.jspecify.annotations.Nullable;
import org.reactivestreams.Subscription;
import reactor.core.CoreSubscriber;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Operators;
import reactor.core.publisher.Sinks;
import reactor.util.context.Context;

/** Hears the completions of a queue's target, and how it ends. Any thread. */
final class TargetSubscriber implements CoreSubscriber<Completion> {

    private final UblkQueue queue;
    private final Sinks.Empty<Void> ended = Sinks.empty();
    private final Context context;
    /** At once, before the loop has got to draining. */
    private volatile boolean hasEnded;
    private @Nullable Subscription subscription;

    TargetSubscriber(UblkQueue queue) {
        this.queue = queue;
        context = Operators.enableOnDiscard(Context.empty(), queue::discarded);
    }

    @Override
    public Context currentContext() {
        return context;
    }

    @Override
    public void onSubscribe(Subscription completions) {
        subscription = completions;
        completions.request(Long.MAX_VALUE);
    }

    @Override
    public void onNext(Completion completion) {
        queue.complete(completion);
    }

    @Override
    public void onError(Throwable e) {
        end(e);
    }

    @Override
    public void onComplete() {
        end(null);
    }

    private void end(@Nullable Throwable failure) {
        hasEnded = true;
        queue.targetEnded(failure);
        ended.tryEmitEmpty();
    }

    /** Whether it is of no use to deliver anything to it. */
    boolean hasEnded() {
        return hasEnded;
    }

    /** Completes when it has let go of everything, or was told to. */
    Mono<Void> whenEnded() {
        return ended.asMono();
    }

    /** On the queue's loop. */
    void cancel() {
        if (subscription != null) subscription.cancel();
        ended.tryEmitEmpty();
    }
}
