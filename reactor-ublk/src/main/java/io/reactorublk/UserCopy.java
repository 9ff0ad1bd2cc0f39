package io.reactorublk;

import org.reactivestreams.Publisher;
import reactor.core.publisher.Mono;

/**
 * {@link DataMode#USER_COPY}: a target with a copy before each WRITE, which it need not know of. The one after each READ is the
 * queue's, for it comes after the last who uses the bytes, and not with the answer.
 */
final class UserCopy implements BlockTarget {

    private final BlockTarget target;

    UserCopy(BlockTarget target) {
        this.target = target;
    }

    @Override
    public Publisher<Completion> serve(BlockQueue queue) {
        return target.serve(queue.holdUntil(UserCopy::load));
    }

    private static Mono<Void> load(BlockRequest request) {
        return request.operation() == Operation.WRITE && !request.isShared() ? request.queue().data(request).load(request) : Mono.empty();
    }
}
