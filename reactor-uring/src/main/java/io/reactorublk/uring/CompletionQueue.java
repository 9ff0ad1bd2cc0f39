package io.reactorublk.uring;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.reactorublk.uring.abi.io_cqring_offsets;
import io.reactorublk.uring.abi.io_uring_cqe;
import io.reactorublk.uring.abi.io_uring_h;
import io.reactorublk.uring.abi.io_uring_params;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;
import java.util.function.Consumer;
import reactor.util.Logger;
import reactor.util.Loggers;

/** The half of a ring that we read: the kernel writes entries and moves the tail, we move the head. */
final class CompletionQueue {

    private static final Logger LOG = Loggers.getLogger(CompletionQueue.class);
    private static final VarHandle INT = JAVA_INT.varHandle();
    private static final long ENTRY_BYTES = io_uring_cqe.layout().byteSize();
    private static final long USER_DATA = io_uring_cqe.user_data$offset();
    private static final long RES = io_uring_cqe.res$offset();
    private static final long FLAGS = io_uring_cqe.flags$offset();
    private static final int MORE = io_uring_h.IORING_CQE_F_MORE();

    private final MemorySegment ring;
    private final long headOffset;
    private final long tailOffset;
    private final long overflowOffset;
    private final long entriesOffset;
    private final int mask;
    private final Consumer<Throwable> whenHandlerFails;
    private int head;

    CompletionQueue(MemorySegment ring, MemorySegment params, Consumer<Throwable> whenHandlerFails) {
        MemorySegment offsets = io_uring_params.cq_off(params);
        this.ring = ring;
        this.whenHandlerFails = whenHandlerFails;
        this.headOffset = Integer.toUnsignedLong(io_cqring_offsets.head(offsets));
        this.tailOffset = Integer.toUnsignedLong(io_cqring_offsets.tail(offsets));
        this.overflowOffset = Integer.toUnsignedLong(io_cqring_offsets.overflow(offsets));
        this.entriesOffset = Integer.toUnsignedLong(io_cqring_offsets.cqes(offsets));
        this.mask = io_uring_params.cq_entries(params) - 1;
    }

    /**
     * Hands every completion to its handler.
     *
     * <p>The head is published as each entry has been read and before its handler runs, so that a handler that submits
     * finds room for what it causes, and one that throws costs nothing but itself.
     *
     * @return how many there were
     */
    int reap(HandlerTable handlers) {
        MemorySegment ring = this.ring;                                // read once: an acquire forgets even final fields
        int first = head;
        int tail = (int) INT.getAcquire(ring, tailOffset);             // acquire: the entries before the tail that covers them
        while (head != tail) {                                         // not <: the counters wrap
            long entry = entriesOffset + (head & mask) * ENTRY_BYTES;
            long userData = ring.get(JAVA_LONG, entry + USER_DATA);
            int result = ring.get(JAVA_INT, entry + RES);
            int flags = ring.get(JAVA_INT, entry + FLAGS);
            INT.setRelease(ring, headOffset, ++head);                  // release: read before it may be overwritten
            try {
                handlers.complete(userData, result, flags, (flags & MORE) != 0);
            } catch (Throwable e) {
                if (e instanceof VirtualMachineError || e instanceof LinkageError) throw e;   // Reactor tells nobody of these, and so would we
                LOG.error("a completion handler failed; the loop goes on", e);
                whenHandlerFails.accept(e);
            }
            if (head == tail) tail = (int) INT.getAcquire(ring, tailOffset);
        }
        return head - first;
    }

    boolean isEmpty() {
        return head == (int) INT.getAcquire(ring, tailOffset);
    }

    /** Completions that the kernel could not keep. Stays 0 on kernels that keep them all (FEAT_NODROP). */
    int overflow() {
        return (int) INT.getAcquire(ring, overflowOffset);
    }
}
