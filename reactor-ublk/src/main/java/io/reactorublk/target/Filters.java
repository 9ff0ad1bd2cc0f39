package io.reactorublk.target;

import static java.util.concurrent.TimeUnit.NANOSECONDS;

import io.reactorublk.BlockQueue;
import io.reactorublk.BlockRequest;
import io.reactorublk.BlockTarget;
import io.reactorublk.Completion;
import io.reactorublk.Operation;
import io.reactorublk.uring.Errno;
import java.time.Duration;
import java.util.Objects;
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Publisher;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.SignalType;
import reactor.core.publisher.Sinks;
import reactor.util.concurrent.Queues;

/**
 * What changes a target without knowing it: each filter makes another target of it.
 *
 * {@snippet file="io/reactorublk/Snippets.java" region="filters"}
 *
 * <p>A request passes the outermost filter first. Demand passes a filter unchanged: a target that asks for 16 requests gets
 * 16, and the rest waits in the kernel. What a filter counts, it counts for each queue.
 */
public final class Filters {

    private Filters() {}

    /** Holds every request back for a while before the target gets it. Those that arrive meanwhile are not held up by it. */
    public static UnaryOperator<BlockTarget> delay(Duration delay) {
        return delay(request -> true, delay);
    }

    /** Holds the requests of one kind back; others overtake them, which the block layer allows. */
    public static UnaryOperator<BlockTarget> delay(Operation operation, Duration delay) {
        Objects.requireNonNull(operation);
        return delay(request -> request.operation() == operation, delay);
    }

    private static UnaryOperator<BlockTarget> delay(Predicate<BlockRequest> held, Duration delay) {
        if (delay.isNegative()) throw new IllegalArgumentException("a delay of " + delay + ": it cannot be negative");
        Duration bounded = Duration.ofNanos(NANOSECONDS.convert(delay));   // "for ever" is more than a long holds
        return target -> queue -> target.serve(queue.holdUntil(
                request -> held.test(request) ? Mono.delay(bounded, queue.loop()) : Mono.empty()));
    }

    /** Fails the requests that a fault describes; the target does not get them. */
    public static UnaryOperator<BlockTarget> fault(Fault fault) {
        Objects.requireNonNull(fault);
        return target -> queue -> {
            Fault.Course course = fault.course(queue.id());
            return intercept(target, queue, request ->
                    course.strikes(request.operation(), request.offset(), request.length()) ? request.fail(fault.errno()) : null);
        };
    }

    /**
     * Fails what would change the target: WRITE, DISCARD and WRITE_ZEROES. The application gets EREMOTEIO, as from a disk
     * that is write-protected; the block layer has no number for EROFS and would make EIO of it. A device that is
     * {@link io.reactorublk.UblkServer#readOnly() read-only} itself does not even send these.
     */
    public static UnaryOperator<BlockTarget> readOnly() {
        return target -> queue -> intercept(target, queue, request -> switch (request.operation()) {
            case READ, FLUSH -> null;
            case WRITE, DISCARD, WRITE_ZEROES -> request.fail(Errno.EREMOTEIO);
        });
    }

    /**
     * Tells of each request when it arrives and when the target has answered it, one line each, with what came of it and the
     * time between.
     *
     * @param lines is called on a queue's loop or wherever the target answers, so by several threads at a time; must neither
     *     block nor throw
     */
    public static UnaryOperator<BlockTarget> trace(Consumer<String> lines) {
        Objects.requireNonNull(lines);
        return target -> queue -> {
            long[] arrivedNanos = new long[queue.depth()];             // by tag, which nobody else has while it is in flight
            BlockQueue traced = queue.via(requests -> requests.doOnNext(request -> {
                arrivedNanos[request.tag()] = queue.loop().now(NANOSECONDS);
                lines.accept(request + " arrives");
            }));
            return Flux.from(target.serve(traced)).doOnNext(completion -> lines.accept(
                    describe(completion, queue.loop().now(NANOSECONDS) - arrivedNanos[completion.request().tag()])));
        };
    }

    private static String describe(Completion completion, long nanos) {
        String outcome = completion.result() < 0 ? "fails with " + Errno.of(completion.result())
                : completion.request().operation().hasData() ? "is done, " + completion.result() + " bytes" : "is done";
        return completion.request() + " " + outcome + ", after " + nanos / 1000 + " us";
    }

    /** Answers a request in place of the target, or leaves it to it: null. */
    @FunctionalInterface
    private interface Interceptor {
        @Nullable Completion answer(BlockRequest request);
    }

    /**
     * Parts the queue with {@code handle}, which asks for another request in place of one it kept: {@code filter} would do so
     * too, but a request it drops is answered with EIO by the queue.
     */
    private static Publisher<Completion> intercept(BlockTarget target, BlockQueue queue, Interceptor interceptor) {
        Sinks.Many<Completion> intercepted = Sinks.many().unicast().onBackpressureBuffer(Queues.<Completion>unbounded().get());
        BlockQueue others = queue.via(requests -> requests.handle((request, sink) -> {
            Completion completion = interceptor.answer(request);
            if (completion == null) {
                sink.next(request);
            } else {
                intercepted.emitNext(completion, Filters::isBusy);
            }
        }));
        Flux<Completion> answered = Flux.from(target.serve(others))
                .doOnTerminate(() -> intercepted.emitComplete(Filters::isBusy));
        return Flux.merge(Integer.MAX_VALUE, answered, intercepted.asFlux());
    }

    /** A target may end on another thread just when a request is intercepted: a matter of nanoseconds, so try again. */
    private static boolean isBusy(SignalType signal, Sinks.EmitResult result) {
        return result == Sinks.EmitResult.FAIL_NON_SERIALIZED;
    }
}
