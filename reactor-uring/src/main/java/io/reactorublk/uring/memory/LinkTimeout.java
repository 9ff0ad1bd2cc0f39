package io.reactorublk.uring.memory;

import io.reactorublk.uring.Errno;
import org.jspecify.annotations.Nullable;

/** {@code IORING_OP_LINK_TIMEOUT}: a time for the operation before it in a chain. */
final class LinkTimeout extends Operation {

    private Agenda.@Nullable Deadline deadline;

    LinkTimeout(MemoryRing ring, Entry entry) {
        super(ring, entry);
    }

    /** It is never started by itself; an entry that follows no other is refused. */
    @Override
    void issue() {
        end(Errno.EINVAL.result());
    }

    /** The operation has begun, and must wait. */
    void arm(Operation limited) {
        ring.inFlight().add(this);
        deadline = ring.kernel().agenda().at(Timeout.deadline(ring, entry), () -> expired(limited));
    }

    private void expired(Operation limited) {
        end(limited.cancel() ? Errno.ETIME.result() : Errno.EALREADY.result());
    }

    /** The operation has ended. */
    void disarm() {
        end(ECANCELED);
    }

    @Override
    void completed() {
        super.completed();
        if (deadline != null) deadline.cancel();
    }
}
