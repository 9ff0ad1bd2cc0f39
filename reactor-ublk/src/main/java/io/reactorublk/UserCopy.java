package io.reactorublk;

import io.reactorublk.uring.Errno;
import org.reactivestreams.Publisher;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.util.Logger;
import reactor.util.Loggers;

/** {@link DataMode#USER_COPY}: a target with a copy before each WRITE and one after each READ, which it need not know of. */
final class UserCopy implements BlockTarget {

    private static final Logger LOG = Loggers.getLogger(UserCopy.class);

    private final BlockTarget target;

    UserCopy(BlockTarget target) {
        this.target = target;
    }

    @Override
    public Publisher<Completion> serve(BlockQueue queue) {
        return Flux.from(target.serve(queue.holdUntil(UserCopy::load)))
                .flatMap(UserCopy::store, Integer.MAX_VALUE, 1);
    }

    private static Mono<Void> load(BlockRequest request) {
        return request.operation() == Operation.WRITE && !request.isShared() ? request.queue().data(request).load(request) : Mono.empty();
    }

    /** What a READ did not get stays as it is in the kernel too: it asks again for the rest. */
    private static Mono<Completion> store(Completion completion) {
        BlockRequest request = completion.request();
        if (request.operation() != Operation.READ || request.isShared() || completion.result() <= 0) return Mono.just(completion);
        return request.queue().data(request).store(request, completion.result())
                .thenReturn(completion)
                .onErrorResume(e -> Mono.just(failed(request, e)));
    }

    private static Completion failed(BlockRequest request, Throwable e) {
        LOG.warn(request + " is answered with " + Errno.of(e) + " because its bytes could not be copied", e);
        return request.fail(e);
    }
}
