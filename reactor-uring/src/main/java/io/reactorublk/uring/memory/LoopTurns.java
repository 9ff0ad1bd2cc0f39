package io.reactorublk.uring.memory;

import io.reactorublk.uring.EventLoop;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The loops that have been started, and what each of them waits for: the scheduler of the simulated process. */
final class LoopTurns {

    /** A loop, in place of the thread it would have. */
    static final class Turner {

        private final EventLoop loop;
        private @Nullable Wait wait;
        private final BitSet cpus = new BitSet();

        Turner(EventLoop loop) {
            this.loop = loop;
        }

        /** It is inside an enter that waits, and would sleep there. */
        void sleeps(Wait inEnter) {
            wait = inEnter;
        }

        private boolean canMove(long now) {
            return wait == null || wait.isWoken(now);
        }

        /** Whether its enter would return: else it was woken for too little, and sleeps on. */
        boolean wakesUp(long now) {
            if (wait != null && wait.goOn(now)) wait = null;
            return wait == null;
        }

        private long wakeAt() {
            return wait == null ? Agenda.NEVER : wait.until();
        }

        boolean turn() {
            return loop.turn();
        }

        void bindTo(BitSet some) {
            cpus.clear();
            cpus.or(some);
        }

        BitSet cpus() {
            return (BitSet) cpus.clone();
        }

        String name() {
            return loop.name();
        }
    }

    private final List<Turner> turners = new ArrayList<>();

    void add(EventLoop loop) {
        turners.add(new Turner(loop));
    }

    Turner named(String name) {
        return turners.stream().filter(turner -> turner.name().equals(name)).findFirst()
                .orElseThrow(() -> new IllegalArgumentException("no loop " + name + " is running"));
    }

    /** The loops that would not sleep now, the one that has waited longest first. */
    List<Turner> movable(long now) {
        List<Turner> movable = new ArrayList<>(turners.size());
        for (Turner turner : turners) {
            if (turner.canMove(now)) movable.add(turner);
        }
        return movable;
    }

    /** When the next of those that sleep wants to be woken. */
    long nextWakeUp() {
        long next = Agenda.NEVER;
        for (Turner turner : turners) next = Math.min(next, turner.wakeAt());
        return next;
    }

    /** It has had its turn: it is the last in the row. */
    void moved(Turner turner) {
        if (turners.remove(turner)) turners.add(turner);
    }

    /** It has closed. */
    void closed(Turner turner) {
        turners.remove(turner);
    }

    void clear() {
        turners.clear();
    }
}
