package io.reactorublk.uring.memory;

import io.reactorublk.uring.Errno;
import io.reactorublk.uring.abi.io_uring_h;
import java.util.List;

/** {@code IORING_OP_ASYNC_CANCEL}: by user data, or whatever can be cancelled. */
final class Cancellation extends Operation {

    Cancellation(MemoryRing ring, Entry entry) {
        super(ring, entry);
    }

    @Override
    void issue() {
        boolean any = entry.hasOpFlag(io_uring_h.IORING_ASYNC_CANCEL_ANY());
        boolean all = any || entry.hasOpFlag(io_uring_h.IORING_ASYNC_CANCEL_ALL());
        int found = 0;
        int cancelled = 0;
        for (Operation operation : List.copyOf(ring.inFlight())) {
            if (!operation.isWithinReach() || (!any && operation.entry.userData != entry.addr)) continue;
            found++;
            if (operation.cancel()) cancelled++;
            if (!all) break;
        }
        if (all) {
            end(cancelled);
        } else if (cancelled > 0) {
            end(0);
        } else {
            end(found > 0 ? Errno.EALREADY.result() : Errno.ENOENT.result());
        }
    }
}
