package io.reactorublk.uring.memory;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.reactorublk.uring.Errno;
import io.reactorublk.uring.abi.io_uring_h;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/** {@code IORING_OP_TIMEOUT}: ends at a time, or with a number of completions. */
final class Timeout extends Operation {

    private Agenda.@Nullable Deadline deadline;

    Timeout(MemoryRing ring, Entry entry) {
        super(ring, entry);
    }

    /** When a {@code struct __kernel_timespec} that an entry points to will be over. */
    static long deadline(MemoryRing ring, Entry entry) {
        MemorySegment timespec = ring.kernel().memory(entry.addr, 2L * Long.BYTES);
        long nanos = timespec.get(JAVA_LONG, 0) * 1_000_000_000L + timespec.get(JAVA_LONG, Long.BYTES);
        return entry.hasOpFlag(io_uring_h.IORING_TIMEOUT_ABS()) ? nanos : ring.kernel().agenda().after(nanos);
    }

    @Override
    void issue() {
        deadline = ring.kernel().agenda().at(deadline(ring, entry), () -> end(Errno.ETIME.result()));
        if (entry.off != 0) ring.afterCompletions(entry.off, this);
    }

    /** So many completions were posted before the time was over. */
    void reached() {
        end(0);
    }

    @Override
    boolean fails(int result) {
        return super.fails(result) && !entry.hasOpFlag(io_uring_h.IORING_TIMEOUT_ETIME_SUCCESS());
    }

    @Override
    boolean cancel() {
        if (hasEnded()) return false;
        end(ECANCELED);
        return true;
    }

    @Override
    void completed() {
        super.completed();
        if (deadline != null) deadline.cancel();
    }
}
