package io.reactorublk.samples.mirror;

import io.reactorublk.BlockQueue;
import io.reactorublk.BlockRequest;
import io.reactorublk.BlockTarget;
import io.reactorublk.Completion;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.EventLoop;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Publisher;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * Keeps the data on several replicas. A write is acknowledged when every live replica has it, and at least the quorum do;
 * a replica that errs or is too slow leaves, and the write it missed waits until that is on the disks of the others (see
 * {@link MirrorSet}). A read asks one live replica, and another one if that fails.
 *
 * <p><b>A slow write</b> is given up, and its request answered. The queue hands that answer to the kernel when the late
 * operation has ended, since it uses the request's bytes: so one request may wait as long as the disk does, but the next
 * ones go on without that replica, and it can never store the bytes of another request.
 *
 * <p><b>A slow read</b> is waited for, because another replica would read into the same bytes. Its replica leaves, so that no
 * other read goes there; if it was live to the end its bytes are good, else another replica is asked.
 *
 * <p><b>After a power cut or kill -9</b> the replicas may differ where writes were in flight, and a file system may have
 * read either. {@link MirrorSet} is marked open on the disks, and {@link Assembly} has them made equal before anybody reads.
 *
 * <p>The public API of {@link BlockQueue} is all it uses, and it works however the bytes of requests travel
 * ({@link io.reactorublk.DataMode}): without copies the same pages are written to every replica. Nothing in it knows files: a
 * replica may be a connection.
 */
public final class MirrorTarget implements BlockTarget {

    private final MirrorSet set;
    private final Replica.Source source;
    private final Duration limit;
    private final WriteOrder order = new WriteOrder();

    /**
     * A target for one device.
     *
     * @param source opens the members for each queue
     * @param limit how long a replica may keep a read waiting, or a write that another has finished
     */
    public MirrorTarget(MirrorSet set, Replica.Source source, Duration limit) {
        this.set = set;
        this.source = source;
        this.limit = limit;
    }

    @Override
    public Publisher<Completion> serve(BlockQueue queue) {
        return Flux.usingWhen(
                openAll(queue.loop()),
                replicas -> queue.answer(new Served(replicas, queue.loop())),
                MirrorTarget::closeAll);
    }

    /** All that are live; in the place of the others there is nobody. */
    private Mono<List<@Nullable Replica>> openAll(EventLoop loop) {
        List<@Nullable Replica> opened = new ArrayList<>();
        return Flux.range(0, set.members())
                .concatMap(member -> set.isLive(member)
                        ? source.open(member, loop).doOnNext(opened::add).then()
                        : Mono.<Void>fromRunnable(() -> opened.add(null)))
                .then(Mono.just(opened))
                .onErrorResume(e -> closeAll(opened).then(Mono.error(e)));
    }

    private static Mono<Void> closeAll(List<@Nullable Replica> replicas) {
        return Flux.fromIterable(replicas.stream().filter(java.util.Objects::nonNull).toList())
                .flatMap(Replica::close)
                .then();
    }

    /** What to ask of a replica. */
    private interface Change extends Function<Replica, Mono<Void>> {}

    /** The replicas of one queue. On its loop. */
    private final class Served implements Function<BlockRequest, Mono<Completion>> {

        private final List<@Nullable Replica> replicas;
        private final EventLoop loop;
        /**
         * What makes durable, one after another. Linux tells each open file once of a write that it could not bring to the
         * disk, so of two at the same time one would hear of it, and the other would be believed.
         */
        private final WriteOrder syncs = new WriteOrder();

        Served(List<@Nullable Replica> replicas, EventLoop loop) {
            this.replicas = replicas;
            this.loop = loop;
        }

        @Override
        public Mono<Completion> apply(BlockRequest request) {
            return switch (request.operation()) {
                case READ -> read(request);
                case WRITE -> {
                    Mono<Completion> write = inOrder(request, replica -> replica.transfer(request));
                    yield request.isFua() ? oneByOne(write) : write;
                }
                case DISCARD -> inOrder(request, replica -> replica.discard(request.offset(), request.length()));
                case WRITE_ZEROES -> inOrder(request,
                        replica -> replica.zero(request.offset(), request.length(), request.isNoUnmap()));
                case FLUSH -> oneByOne(change(request, Replica::flush));
            };
        }

        private Replica replica(int member) {
            return java.util.Objects.requireNonNull(replicas.get(member));
        }

        private Mono<Completion> read(BlockRequest request) {
            int member = set.readerOf(request.offset());
            return patiently(member, replica(member).transfer(request))
                    .then(Mono.just(true))
                    .onErrorResume(e -> {
                        set.leave(1 << member, "a read failed: " + e);
                        return set.isLive(member) ? Mono.error(e) : Mono.just(false);    // the last one, or another may know
                    })
                    .flatMap(done -> done && set.isLive(member) ? Mono.just(request.complete()) : read(request));
        }

        private Mono<Void> patiently(int member, Mono<Void> read) {
            return Mono.defer(() -> {
                Disposable patience = Patience.after(limit, loop,
                        () -> set.leave(1 << member, "a read took longer than " + limit.toMillis() + " ms"));
                return read.doFinally(end -> patience.dispose());
            });
        }

        private Mono<Completion> inOrder(BlockRequest request, Change change) {
            return order.inTurn(request.offset(), request.length(), loop::execute, change(request, change));
        }

        private Mono<Completion> oneByOne(Mono<Completion> sync) {
            return syncs.inTurn(0, 1, loop::execute, sync);
        }

        private Mono<Completion> change(BlockRequest request, Change change) {
            return Mono.defer(() -> {
                if (!set.isWritable()) return Mono.just(request.fail(Errno.EIO));
                return Fanout.ask(set.live(), member -> change.apply(replica(member)), limit, loop)
                        .flatMap(outcome -> acknowledge(request, outcome))
                        .doOnCancel(set::mayDiffer);
            });
        }

        /** Not before nobody who lacks the write could be read from, now or after a restart. */
        private Mono<Completion> acknowledge(BlockRequest request, Fanout.Outcome outcome) {
            int missing = set.missing(outcome.done());
            if (missing != 0) {
                String why = request.operation() + " failed: " + outcome.failure();
                set.leave(missing, why);
                if ((set.live() & ~outcome.done()) != 0) set.fail("the last replica failed. " + why);
            }
            if (!set.isWritable()) return Mono.just(request.fail(Errno.EIO));
            if (missing == 0) return Mono.just(request.complete());
            return set.settled().publishOn(loop).then(Mono.defer(() -> acknowledge(request, outcome)));
        }
    }
}
