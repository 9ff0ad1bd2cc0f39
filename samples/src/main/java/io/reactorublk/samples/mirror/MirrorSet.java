package io.reactorublk.samples.mirror;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.UnaryOperator;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Mono;
import reactor.core.publisher.MonoSink;
import reactor.core.scheduler.Scheduler;

/**
 * Who of the members is live, for all queues: asked by any thread, written to the members' headers on a loop of its own.
 *
 * <p>The rule that all else follows from: <b>whoever is live has every acknowledged write</b>. Two sets of members hold it
 * up. {@code live} is who gets I/O; {@code durable} ⊇ {@code live} is whom the headers on the disks call live, so who might
 * be read after a restart. A write is acknowledged when all of {@code durable} have it. A member that missed one therefore
 * leaves {@code live} at once, and the write waits until a new generation of the header, in which that member is stale, is
 * on the disks of all that are left.
 *
 * <pre>
 *    live = durable ── leave ──► live ⊂ durable ── header of the next generation on all live ──► live = durable
 *                                   ▲                          │
 *                                   └── one of them failed: it leaves too, and again
 * </pre>
 *
 * <p>The last one does not leave, for its reads are better than none. But if it fails in a write, or if fewer than the
 * quorum are left, every write fails from then on, until the set is assembled again.
 */
public final class MirrorSet {

    private static final Logger LOG = LoggerFactory.getLogger(MirrorSet.class);
    private static final int STRIPE_SHIFT = 20;

    private record State(int live, int durable, boolean failed) {}

    private final List<? extends HeaderStore> stores;
    private final Scheduler loop;
    private final Duration limit;
    private final int quorum;
    private final int members;
    private final AtomicReference<State> state;
    private volatile boolean mayDiffer;

    /** The newest that was written, or that we tried to write. On the loop, like all below. */
    private ReplicaHeader header;
    private boolean writing;
    private final List<MonoSink<Void>> waiting = new ArrayList<>();

    /**
     * A set that has been assembled. Before it is used its header must be {@linkplain #markOpen() on the disks}.
     *
     * @param stores one for each member, stale ones too
     * @param loop where headers are written
     * @param limit how long a member may be slower than another
     */
    MirrorSet(ReplicaHeader header, List<? extends HeaderStore> stores, Scheduler loop, Duration limit) {
        this.header = header;
        this.stores = stores;
        this.loop = loop;
        this.limit = limit;
        quorum = header.quorum();
        members = header.members();
        state = new AtomicReference<>(new State(header.live(), header.live(), false));
    }

    /** Writes the first header: in use, and who is live. Emits who has it. */
    Mono<Integer> markOpen() {
        return Mono.defer(() -> write(header)).subscribeOn(loop);
    }

    /** How many members the set has, stale ones included. */
    public int members() {
        return members;
    }

    /** Who gets I/O, a bit for each. */
    public int live() {
        return now().live;
    }

    /** Whether a member has every acknowledged write. */
    public boolean isLive(int member) {
        return (now().live >> member & 1) != 0;
    }

    /** Whether writes can still succeed. */
    public boolean isWritable() {
        State now = now();
        return !now.failed && Integer.bitCount(now.live) >= quorum;
    }

    /** Who should read at this offset: neighbours by the same, so that its read-ahead works, and all in turn. */
    int readerOf(long offset) {
        int live = now().live;
        int skip = (int) ((offset >>> STRIPE_SHIFT) % Integer.bitCount(live));
        for (; skip > 0; skip--) live &= live - 1;
        return Integer.numberOfTrailingZeros(live);
    }

    /** Those that a restart would read from and that are not among {@code done}: while there are any, nothing is acknowledged. */
    int missing(int done) {
        return now().durable & ~done;
    }

    /** Removes those who cannot go on. One always stays. */
    void leave(int leaving, String why) {
        State before = state.getAndUpdate(s -> new State(without(leaving, s.live), s.durable, s.failed));
        int left = before.live & ~without(leaving, before.live);
        if (left == 0) return;
        LOG.warn("{} left, {} of {} remain: {}", names(left), Integer.bitCount(live()), members, why);
        loop.schedule(this::writeHeaders);
    }

    private State now() {
        return Objects.requireNonNull(state.get());
    }

    private static int without(int leaving, int live) {
        int rest = live & ~leaving;
        return rest == 0 ? Integer.lowestOneBit(live) : rest;
    }

    /** No write is acknowledged any more. */
    void fail(String why) {
        State before = state.getAndUpdate(s -> new State(s.live, s.durable, true));
        if (!before.failed) LOG.error("every write fails from now on: {}", why);
    }

    /** A write was given up and nobody knows on which replicas it is: the set will not be closed as clean. */
    void mayDiffer() {
        mayDiffer = true;
    }

    /** Completes on the set's loop when the headers say who is live, or when writes fail for good. */
    Mono<Void> settled() {
        return Mono.create(sink -> loop.schedule(() -> {
            waiting.add(sink);
            writeHeaders();
        }));
    }

    private void writeHeaders() {
        if (writing) return;
        int live = live();
        if (live == now().durable) {
            wakeAll();
            return;
        }
        writing = true;
        header = header.next(live, true);                              // also after a failure: a generation says one thing only
        write(header).subscribe(done -> {
            writing = false;
            if (done == live) {
                become(s -> new State(s.live, live, s.failed));
                LOG.info("generation {}: {} stale", header.generation(), names(header.stale()));
            } else if (done == 0) {
                fail("no replica could record which of them are stale");
                wakeAll();
                return;
            } else {
                leave(live & ~done, "its header could not be written");
            }
            writeHeaders();
        });
    }

    private void become(UnaryOperator<State> change) {
        state.updateAndGet(change);
    }

    private Mono<Integer> write(ReplicaHeader next) {
        return Fanout.ask(next.live(), member -> stores.get(member).write(next.of(member)), limit, loop)
                .doOnNext(outcome -> {
                    Throwable failure = outcome.failure();
                    if (failure != null) LOG.warn("writing generation {}: {}", next.generation(), failure.toString());
                })
                .map(Fanout.Outcome::done);
    }

    private void wakeAll() {
        List<MonoSink<Void>> all = List.copyOf(waiting);
        waiting.clear();
        for (MonoSink<Void> sink : all) sink.success();
    }

    /**
     * Ends the use of the set. If every write has ended, and is durable, the headers say that the replicas are equal; else
     * they go on saying that it is open, and the next assembly makes them equal. Writes must have ended.
     *
     * @return whether the set is clean
     */
    Mono<Boolean> close() {
        return Mono.defer(() -> Fanout.ask(live(), member -> stores.get(member).flush(), limit, loop))
                .doOnNext(flushed -> {
                    int lost = live() & ~flushed.done();
                    if (lost == 0) return;
                    leave(lost, "its last flush failed: " + flushed.failure());
                    if ((live() & lost) != 0) fail("the last replica could not flush");
                })
                .then(settled())
                .then(Mono.defer(() -> {
                    if (mayDiffer || !isWritable() || live() != now().durable) return Mono.just(false);
                    header = header.next(live(), false);
                    return write(header).map(done -> done == live());
                }))
                .subscribeOn(loop);
    }

    /** "replica 1", "replicas 0, 2", "none". */
    static String names(int members) {
        if (members == 0) return "none";
        StringBuilder names = new StringBuilder(Integer.bitCount(members) == 1 ? "replica " : "replicas ");
        String comma = "";
        for (int i = 0; members >> i != 0; i++) {
            if ((members >> i & 1) == 0) continue;
            names.append(comma).append(i);
            comma = ", ";
        }
        return names.toString();
    }
}
