package io.reactorublk;

import io.reactorublk.uring.Errno;
import io.reactorublk.uring.EventLoop;
import io.reactorublk.uring.KernelException;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeoutException;
import java.util.function.Function;
import org.reactivestreams.Publisher;
import reactor.core.CoreSubscriber;
import reactor.core.Fuseable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.util.Logger;
import reactor.util.Loggers;

/**
 * One hardware queue of a device: a {@link Flux} of requests, for one subscriber.
 *
 * <p>Demand is slots lent to the kernel: no more requests arrive than were asked for, and what nobody asked for waits in
 * the kernel. Requests are delivered on the queue's {@linkplain #loop() loop}. The queue completes when the device has
 * stopped; cancelling it earlier loses the target, see {@link BlockTarget}.
 *
 * <p>A request that an operator {@linkplain Flux#doOnDiscard discards} ({@code filter}, {@code take} and their like) is
 * answered with EIO, for nobody else will. To part a queue by kind, use a {@code switch} in {@link #answer}, or
 * {@code groupBy}: {@code publish} with two filters would discard in one branch what the other serves.
 */
public abstract class BlockQueue extends Flux<BlockRequest> {

    private static final Logger LOG = Loggers.getLogger(BlockQueue.class);

    BlockQueue() {}

    /** Its number within the device, from 0. */
    public abstract int id();

    /** The number of the device, N of {@code /dev/ublkbN}. */
    public abstract int deviceId();

    /** How many requests can be in flight. */
    public abstract int depth();

    /**
     * How large the device is, in bytes: no request reaches beyond it. After {@link UblkDevice#resize} another number, when
     * the device grows before the first request that needs it, when it shrinks after those that were under way have been asked
     * for. Of {@link UblkControl#resize} by somebody else it learns nothing.
     */
    public abstract long sizeBytes();

    /** The device's logical block size in bytes: the unit of offsets and lengths. */
    public abstract int blockSize();

    /**
     * What the device is like for those who use it, as it is now: of one that was recovered it is what the first server made of
     * it, whatever this one was told.
     */
    public abstract DeviceParameters parameters();

    /**
     * Whether an earlier server had this device: it was {@linkplain UblkServer#recover recovered}. What that one has answered its
     * applications rely on, so the target begins where it ended, and not anew; and with {@link Recovery#REISSUE} a write among the first
     * requests may be one that it has executed already, and died before it said so.
     */
    public abstract boolean isRecovered();

    /** The loop that delivers its requests, for I/O of the target's own and to come back to with {@code publishOn}. */
    public abstract EventLoop loop();

    /** Where the bytes of a request of its own are. */
    abstract DataBuffers data(BlockRequest request);

    /** A request of its own has its answer, and nobody uses its bytes any more. Any thread. */
    abstract void answered(BlockRequest request);

    /** Its subscriber threw in {@code onNext}, which is against the rules: the target is lost. On the loop. */
    abstract void lost(Throwable e);

    /**
     * Answers each request with what a handler makes of it. Everything is asked for; the tags bound what is in flight.
     *
     * <p>Safe whatever the handler does: an exception or an error becomes an errno ({@link Errno#of(Throwable)}), no
     * completion becomes EIO, and the queue goes on. Handlers run on the loop and must not block there.
     *
     * @param handler from a request to its completion, in its own time
     * @return the completions, for {@link BlockTarget#serve} to return
     */
    public final Flux<Completion> answer(Function<? super BlockRequest, ? extends Mono<Completion>> handler) {
        return answer(Integer.MAX_VALUE, handler);
    }

    /**
     * The same with at most {@code concurrency} requests outside the kernel at a time; the others wait there.
     *
     * @param concurrency at least 1
     */
    public final Flux<Completion> answer(int concurrency,
            Function<? super BlockRequest, ? extends Mono<Completion>> handler) {
        // Hidden: flatMap replaces what answers at once late, many at a time, and until then the others would be fewer.
        boolean bounded = concurrency != Integer.MAX_VALUE;
        return flatMap(request -> bounded ? guarded(handler, request).hide() : guarded(handler, request), concurrency, 1);
    }

    private static Mono<Completion> guarded(
            Function<? super BlockRequest, ? extends Mono<Completion>> handler, BlockRequest request) {
        Mono<Completion> answer;
        try {
            answer = handler.apply(request);
            if (answer instanceof Callable<?> known) {                 // known at once: no operator, no garbage
                Object completion = known.call();
                if (completion == null) return Mono.just(request.fail(Errno.EIO));
                requireOwn(request, (Completion) completion);
                return answer instanceof Fuseable.ScalarCallable ? answer : Mono.just((Completion) completion);
            }
        } catch (Throwable e) {                                        // an Error too: it costs one request, never the queue
            return Mono.just(failed(request, e));
        }
        return answer.map(completion -> requireOwn(request, completion))
                .onErrorResume(e -> Mono.just(failed(request, e)))
                .switchIfEmpty(Mono.fromSupplier(() -> request.fail(Errno.EIO)));
    }

    /** Who answers another request in place of his own would leave an application waiting for ever. */
    private static Completion requireOwn(BlockRequest request, Completion completion) {
        if (completion.request() == request) return completion;
        throw new IllegalStateException("the handler of " + request + " answered " + completion.request());
    }

    private static Completion failed(BlockRequest request, Throwable e) {
        boolean expected = e instanceof KernelException || e instanceof TimeoutException
                || e instanceof UnsupportedOperationException;
        if (!expected) LOG.warn(request + " is answered with " + Errno.of(e) + " because its handler failed", e);
        return request.fail(e);
    }

    /**
     * This queue seen through some operators: for filters, which change what a target gets to see.
     *
     * @param operators from the requests of this queue to those of the view; each must be answered, here or there
     */
    public final BlockQueue via(Function<? super Flux<BlockRequest>, ? extends Publisher<BlockRequest>> operators) {
        return new View(this, Flux.from(operators.apply(this)));
    }

    /**
     * This queue with each request held back until something has happened, while others overtake it, which the block layer
     * allows. Demand passes unchanged.
     *
     * @param gate from a request to what it waits for, which must complete on the queue's {@link #loop}; the request is
     *     answered with EIO if that fails
     */
    public final BlockQueue holdUntil(Function<? super BlockRequest, ? extends Mono<?>> gate) {
        return via(requests -> new HoldUntil(requests, gate));
    }

    /** A queue with other requests. */
    private static final class View extends BlockQueue {

        private final BlockQueue queue;
        private final Flux<BlockRequest> requests;

        View(BlockQueue queue, Flux<BlockRequest> requests) {
            this.queue = queue;
            this.requests = requests;
        }

        @Override
        public int id() {
            return queue.id();
        }

        @Override
        public int deviceId() {
            return queue.deviceId();
        }

        @Override
        public int depth() {
            return queue.depth();
        }

        @Override
        public long sizeBytes() {
            return queue.sizeBytes();
        }

        @Override
        public int blockSize() {
            return queue.blockSize();
        }

        @Override
        public DeviceParameters parameters() {
            return queue.parameters();
        }

        @Override
        public boolean isRecovered() {
            return queue.isRecovered();
        }

        @Override
        public EventLoop loop() {
            return queue.loop();
        }

        @Override
        DataBuffers data(BlockRequest request) {
            return queue.data(request);
        }

        @Override
        void answered(BlockRequest request) {
            queue.answered(request);
        }

        @Override
        void lost(Throwable e) {
            queue.lost(e);
        }

        @Override
        public void subscribe(CoreSubscriber<? super BlockRequest> actual) {
            requests.subscribe(actual);
        }

        @Override
        public String toString() {
            return queue.toString();
        }
    }
}
