package io.reactorublk.uring.memory;

import java.util.ArrayList;
import java.util.List;
import java.util.PriorityQueue;
import java.util.Random;
import org.jspecify.annotations.Nullable;

/**
 * What can happen next, and what is due later: the kernel's workers and its clock. Chance has one source, the seed; without
 * one everything happens in order, as soon as it can.
 */
final class Agenda {

    /** No deadline at all. */
    static final long NEVER = Long.MAX_VALUE;

    private final @Nullable Random dice;
    private final List<Runnable> ready = new ArrayList<>();
    private final PriorityQueue<Deadline> deadlines = new PriorityQueue<>();
    private long deadlinesMade;
    /** Read by any thread. It starts at a second, so that no sensible deadline is 0. */
    private volatile long now = 1_000_000_000L;

    /** Something that will happen at its time, unless it is cancelled. */
    final class Deadline implements Comparable<Deadline> {

        private final long at;
        private final long number = deadlinesMade++;
        private final Runnable action;

        Deadline(long at, Runnable action) {
            this.at = at;
            this.action = action;
        }

        void cancel() {
            deadlines.remove(this);
        }

        @Override
        public int compareTo(Deadline other) {
            return at == other.at ? Long.compare(number, other.number) : Long.compare(at, other.at);
        }
    }

    Agenda(@Nullable Random dice) {
        this.dice = dice;
    }

    long now() {
        return now;
    }

    /** A time this long from now; as late as can be, if that is too far away. */
    long after(long nanos) {
        return nanos >= NEVER - now ? NEVER : now + nanos;
    }

    /** Plans something for a time. */
    Deadline at(long time, Runnable action) {
        Deadline deadline = new Deadline(time, action);
        deadlines.add(deadline);
        return deadline;
    }

    /** When something is due next; {@link #NEVER} if nothing is. */
    long next() {
        Deadline first = deadlines.peek();
        return first == null ? NEVER : first.at;
    }

    /** Moves the clock, and does what has come due in the order of its times. */
    void moveTo(long time) {
        now = Math.max(now, time);
        while (next() <= now) deadlines.remove().action.run();
    }

    /** Something that a worker of the kernel does soon. */
    void soon(Runnable work) {
        ready.add(work);
    }

    /** How many workers have something to do. */
    int readyCount() {
        return ready.size();
    }

    /** Lets one of the workers do what it has to do. */
    void runReady(int which) {
        ready.remove(which).run();
    }

    /** One of so many; the first, without a seed. */
    int pick(int count) {
        return dice == null || count == 1 ? 0 : dice.nextInt(count);
    }

    /** Yes or no; always no, without a seed. */
    boolean chance() {
        return dice != null && dice.nextBoolean();
    }
}
