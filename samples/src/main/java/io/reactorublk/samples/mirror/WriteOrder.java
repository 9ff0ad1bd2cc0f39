package io.reactorublk.samples.mirror;

import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;
import reactor.core.publisher.MonoSink;
import reactor.util.concurrent.Queues;

/**
 * Lets overlapping writes through one after another, in the order they came, across all queues of a device. The block layer
 * promises no order between writes in flight, so two that overlap could reach two replicas in two orders, and the replicas
 * would differ for ever. Writes that do not overlap never wait.
 *
 * <p>A newcomer waits for every earlier one that it overlaps, those that still wait included: so nobody is overtaken by one
 * that he must not overtake himself, and nobody starves. The list is searched from end to end, because the few hundred
 * writes that a device can have in flight are compared faster than a tree is kept.
 *
 * <p>Any thread. Nobody blocks: what arrives and what ends is put in a queue, and whoever finds it untended works it off.
 */
final class WriteOrder {

    private final Queue<Turn> events = Queues.<Turn>unboundedMultiproducer().get();
    private final AtomicInteger work = new AtomicInteger();
    /** In the order of arrival. Only who tends the queue touches this, and the fields of turns that say so. */
    private final List<Turn> turns = new ArrayList<>();

    /**
     * An action that takes its turn.
     *
     * @param home where it is to run: at once if the caller is there and nobody is in the way
     */
    <T> Mono<T> inTurn(long offset, long length, Executor home, Mono<T> action) {
        return Mono.usingWhen(
                Mono.<Turn>create(sink -> arrive(new Turn(offset, offset + length, home, sink))),
                turn -> action,
                turn -> Mono.fromRunnable(turn::end));
    }

    private void arrive(Turn turn) {
        turn.sink.onCancel(turn::end);                                 // also if it never got its turn
        tend(turn);
    }

    private void tend(Turn event) {
        events.offer(event);
        if (work.getAndIncrement() != 0) return;
        int missed = 1;
        do {
            for (Turn turn = events.poll(); turn != null; turn = events.poll()) {
                if (turn.arrived) {
                    leave(turn);
                } else {
                    enter(turn);
                }
            }
            missed = work.addAndGet(-missed);
        } while (missed != 0);
    }

    private void enter(Turn turn) {
        turn.arrived = true;
        for (Turn earlier : turns) {
            if (earlier.start < turn.end && turn.start < earlier.end) {
                earlier.followers = new Follower(turn, earlier.followers);
                turn.waitsFor++;
            }
        }
        turns.add(turn);
        if (turn.waitsFor == 0) turn.begin();
    }

    private void leave(Turn turn) {
        turns.remove(turn);
        for (Follower next = turn.followers; next != null; next = next.next) {
            if (--next.turn.waitsFor == 0) next.turn.begin();
        }
    }

    /** Who waits for a turn. */
    private record Follower(Turn turn, @Nullable Follower next) {}

    /** One write's place in the order. Twice in the queue: when it arrives and when it ends. */
    private final class Turn {

        private final long start;
        private final long end;
        private final Executor home;
        private final MonoSink<Turn> sink;
        private final AtomicBoolean ended = new AtomicBoolean();
        private boolean arrived;
        private int waitsFor;
        private @Nullable Follower followers;

        Turn(long start, long end, Executor home, MonoSink<Turn> sink) {
            this.start = start;
            this.end = end;
            this.home = home;
            this.sink = sink;
        }

        private void begin() {
            try {
                home.execute(() -> sink.success(this));
            } catch (RejectedExecutionException e) {                   // its loop is gone, and with it whoever waited there
                end();
            }
        }

        private void end() {
            if (ended.compareAndSet(false, true)) tend(this);
        }
    }
}
