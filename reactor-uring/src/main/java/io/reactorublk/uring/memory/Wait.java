package io.reactorublk.uring.memory;

import io.reactorublk.uring.Errno;

/**
 * A process that waits in {@code io_uring_enter} for so many completions. It is woken for each thing the ring has to tell,
 * and goes on sleeping until there are enough, a timeout of the ring ended, or its time is over. Mirrors {@code
 * io_cqring_wait} and {@code io_should_wake}.
 */
final class Wait {

    private final MemoryRing ring;
    private final int completions;
    private final long until;
    private final long timeoutsBefore;

    Wait(MemoryRing ring, int completions, long until) {
        this.ring = ring;
        this.completions = Math.min(completions, ring.completionEntries());    // no more than these can be there
        this.until = until;
        timeoutsBefore = ring.timeoutsEnded();
    }

    long until() {
        return until;
    }

    /** Whether there is something to look at: the process would run on, inside the kernel at least. */
    boolean isWoken(long now) {
        return isOver(now) || ring.hasTaskWork();
    }

    /** Runs what the ring has to do, and looks whether that is enough. */
    boolean goOn(long now) {
        ring.proceed();
        if (!isOver(now)) return false;
        ring.showCompletions();
        return true;
    }

    boolean isOver(long now) {
        return isAnswered() || until <= now;
    }

    private boolean isAnswered() {
        return ring.available() >= completions || ring.timeoutsEnded() != timeoutsBefore;
    }

    /** What {@code io_uring_enter} tells of it. */
    int result(long now) {
        if (isAnswered() || ring.available() > 0) return 0;
        return (until <= now ? Errno.ETIME : Errno.EINTR).result();
    }
}
