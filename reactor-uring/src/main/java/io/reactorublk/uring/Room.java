package io.reactorublk.uring;

import java.util.ArrayDeque;
import java.util.Queue;
import org.jspecify.annotations.Nullable;

/**
 * How many file operations may be under way on a ring at a time; the others wait for their turn, first come, first served. So what
 * one turn stages fits into the submission queue, and what completes into the completion queue. On the loop.
 */
final class Room {

    private final Queue<FileOperation<?>> waiting = new ArrayDeque<>();
    private int free;
    private boolean giving;

    Room(int operations) {
        free = operations;
    }

    /** Lets it begin now, or else {@linkplain FileOperation#enter later}. */
    boolean take(FileOperation<?> operation) {
        if (free > 0) {
            free--;
            return true;
        }
        waiting.add(operation);
        return false;
    }

    /** It waits no longer. */
    void leave(FileOperation<?> operation) {
        waiting.remove(operation);
    }

    /** Whoever had begun has ended. In a loop, because the next may end at once, and thousands may wait when all ends. */
    void give() {
        free++;
        if (giving) return;
        giving = true;
        try {
            for (FileOperation<?> next = next(); next != null; next = next()) next.enter();
        } finally {
            giving = false;
        }
    }

    private @Nullable FileOperation<?> next() {
        if (free == 0) return null;
        FileOperation<?> next = waiting.poll();
        if (next != null) free--;
        return next;
    }
}
