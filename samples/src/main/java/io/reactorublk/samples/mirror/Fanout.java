package io.reactorublk.samples.mirror;

import java.time.Duration;
import java.util.concurrent.TimeoutException;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;
import reactor.core.Disposable;
import reactor.core.publisher.Mono;
import reactor.core.publisher.MonoSink;
import reactor.core.scheduler.Scheduler;

/**
 * Asks several replicas for the same, and tells which of them did it. Ends when all have answered, or when some have not
 * within the limit <em>after the first one did</em>: slow is who is slower than another, and if all of them stand still
 * there is nobody to go on with. Those too late are cancelled.
 *
 * <p>On one loop: the replicas signal there, and the limit is measured there.
 */
final class Fanout {

    /**
     * Who did it.
     *
     * @param done a bit for each
     * @param failure why the first of the others did not
     */
    record Outcome(int done, @Nullable Throwable failure) {}

    private final IntFunction<Mono<Void>> action;
    private final Duration limit;
    private final Scheduler loop;
    private final MonoSink<Outcome> sink;
    private final @Nullable Disposable[] asked = new Disposable[ReplicaHeader.MAX_MEMBERS];
    private int waiting;
    private int done;
    private @Nullable Throwable failure;
    private @Nullable Disposable patience;

    /**
     * Asks when subscribed, which must happen on the loop.
     *
     * @param members whom to ask, a bit for each
     */
    static Mono<Outcome> ask(int members, IntFunction<Mono<Void>> action, Duration limit, Scheduler loop) {
        return Mono.create(sink -> new Fanout(members, action, limit, loop, sink).start());
    }

    private Fanout(int members, IntFunction<Mono<Void>> action, Duration limit, Scheduler loop, MonoSink<Outcome> sink) {
        this.waiting = members;
        this.action = action;
        this.limit = limit;
        this.loop = loop;
        this.sink = sink;
    }

    private void start() {
        sink.onCancel(this::abandon);
        int members = waiting;
        if (members == 0) sink.success(new Outcome(0, null));
        for (int rest = members; rest != 0; rest &= rest - 1) {
            int bit = Integer.lowestOneBit(rest);
            int member = Integer.numberOfTrailingZeros(bit);
            asked[member] = Mono.defer(() -> action.apply(member))
                    .subscribe(nothing -> {}, e -> answered(bit, e), () -> answered(bit, null));
        }
    }

    private void answered(int bit, @Nullable Throwable error) {
        waiting &= ~bit;
        if (error == null) {
            done |= bit;
        } else if (failure == null) {
            failure = error;
        }
        if (waiting == 0) {
            end();
        } else if (done != 0 && patience == null) {
            patience = Patience.after(limit, loop, this::tooLate);
        }
    }

    private void tooLate() {
        if (waiting == 0) return;
        if (failure == null) failure = new TimeoutException("no answer within " + limit.toMillis() + " ms after another replica's");
        abandon();
        end();
    }

    private void abandon() {
        for (int rest = waiting; rest != 0; rest &= rest - 1) {
            Disposable late = asked[Integer.numberOfTrailingZeros(rest)];
            if (late != null) late.dispose();
        }
        waiting = 0;
        if (patience != null) patience.dispose();
    }

    private void end() {
        if (patience != null) patience.dispose();
        sink.success(new Outcome(done, failure));
    }
}
