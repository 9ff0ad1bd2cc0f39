package io.reactorublk.uring.memory;

import io.reactorublk.uring.Errno;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.abi.io_uring_h;
import org.jspecify.annotations.Nullable;

/**
 * One entry in flight, {@code struct io_kiocb}.
 *
 * <pre>
 *   start ─► issue ─┬─► end ─► completed          inside an enter of the ring
 *                   └─► ... ─► end ─► task work ─► completed    when it had to wait
 * </pre>
 */
abstract class Operation {

    static final int ECANCELED = Errno.ECANCELED.result();

    final MemoryRing ring;
    final Entry entry;
    /** Starts when this one has ended. */
    private @Nullable Operation next;
    /** Ends this one if it takes too long. */
    private @Nullable LinkTimeout limit;
    private @Nullable Description file;
    private boolean ended;
    private boolean completed;

    Operation(MemoryRing ring, Entry entry) {
        this.ring = ring;
        this.entry = entry;
    }

    /**
     * Does what the entry says, or begins to.
     *
     * @throws KernelException to end with that error
     */
    abstract void issue();

    /** Ends it early, with ECANCELED. Returns false if that cannot be. */
    boolean cancel() {
        return false;
    }

    /** Whether a cancellation finds it at all, {@code io_try_cancel}. */
    boolean isWithinReach() {
        return true;
    }

    /** The ring is gone, and nobody hears of the operation any more. */
    void abandon() {
        ended = true;
        completed();
    }

    /** Whether a result breaks a chain. */
    boolean fails(int result) {
        return result < 0;
    }

    /** Gives back what the operation held. */
    void completed() {
        completed = true;
        ring.inFlight().remove(this);
        if (file != null) file.drop();
        file = null;
    }

    final void linkTo(Operation following) {
        next = following;
    }

    final void limitBy(LinkTimeout timeout) {
        limit = timeout;
    }

    final void start() {
        if (ended) return;
        try {
            issue();
        } catch (KernelException e) {
            end(e.errno().result());
        }
        if (!completed) ring.inFlight().add(this);
        if (!ended && limit != null) limit.arm(this);
    }

    final boolean hasEnded() {
        return ended;
    }

    /** The file the entry names, kept open until the operation has ended. */
    final Description file() {
        if (file == null) {
            file = ring.file(entry);
            file.hold();
        }
        return file;
    }

    final void end(int result) {
        end(result, 0);
    }

    /** The last completion: now if the process is inside the kernel, else in task work. Nothing ends twice. */
    final void end(int result, int flags) {
        if (ended) return;
        ended = true;
        if (ring.isEntered() || ring.isClosed()) {
            complete(result, flags);
        } else {
            ring.addTaskWork(() -> complete(result, flags));
        }
    }

    private void complete(int result, int flags) {
        completed();
        boolean failed = fails(result);
        if (failed || !entry.has(io_uring_h.IOSQE_CQE_SKIP_SUCCESS())) ring.post(this, result, flags);
        if (limit != null) limit.disarm();
        if (next == null) return;
        if (failed && !entry.isHardLinked()) {
            next.cancelChain();
        } else {
            ring.addTaskWork(next::start);
        }
    }

    /** {@code io_fail_links}: whatever kind of link it is, the rest does not start. */
    private void cancelChain() {
        for (Operation operation = this; operation != null; operation = operation.next) {
            Operation cancelled = operation;
            operation.ended = true;
            ring.addTaskWork(() -> {
                ring.post(cancelled, ECANCELED, 0);
                if (cancelled.limit != null) cancelled.limit.disarm();
            });
        }
    }
}
