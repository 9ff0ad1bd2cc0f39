package io.reactorublk.uring.memory;

import io.reactorublk.uring.Errno;
import io.reactorublk.uring.abi.io_uring_h;
import java.util.Map;

/** What this kernel can be asked to do, by {@code IORING_OP_*}. */
final class Operations {

    private interface Kind {
        Operation of(MemoryRing ring, Entry entry);
    }

    private static final Map<Integer, Kind> KINDS = Map.ofEntries(
            Map.entry(io_uring_h.IORING_OP_NOP(), NoOp::new),
            Map.entry(io_uring_h.IORING_OP_READ(), Transfer::new),
            Map.entry(io_uring_h.IORING_OP_WRITE(), Transfer::new),
            Map.entry(io_uring_h.IORING_OP_READV(), Transfer::new),
            Map.entry(io_uring_h.IORING_OP_WRITEV(), Transfer::new),
            Map.entry(io_uring_h.IORING_OP_READ_FIXED(), Transfer::new),
            Map.entry(io_uring_h.IORING_OP_WRITE_FIXED(), Transfer::new),
            Map.entry(io_uring_h.IORING_OP_READ_MULTISHOT(), MultishotRead::new),
            Map.entry(io_uring_h.IORING_OP_FSYNC(), FileCall::new),
            Map.entry(io_uring_h.IORING_OP_FALLOCATE(), FileCall::new),
            Map.entry(io_uring_h.IORING_OP_FADVISE(), FileCall::new),
            Map.entry(io_uring_h.IORING_OP_OPENAT(), FileCall::new),
            Map.entry(io_uring_h.IORING_OP_CLOSE(), FileCall::new),
            Map.entry(io_uring_h.IORING_OP_STATX(), FileCall::new),
            Map.entry(io_uring_h.IORING_OP_TIMEOUT(), Timeout::new),
            Map.entry(io_uring_h.IORING_OP_LINK_TIMEOUT(), LinkTimeout::new),
            Map.entry(io_uring_h.IORING_OP_ASYNC_CANCEL(), Cancellation::new),
            Map.entry(io_uring_h.IORING_OP_URING_CMD(), DriverCommand::new));

    private Operations() {}

    static boolean knows(int opcode) {
        return KINDS.containsKey(opcode);
    }

    static Operation of(MemoryRing ring, Entry entry) {
        return KINDS.getOrDefault(entry.opcode, Unknown::new).of(ring, entry);
    }

    /** Succeeds. */
    private static final class NoOp extends Operation {

        NoOp(MemoryRing ring, Entry entry) {
            super(ring, entry);
        }

        @Override
        void issue() {
            end(0);
        }
    }

    /** What a kernel answers that is older than the program. */
    private static final class Unknown extends Operation {

        Unknown(MemoryRing ring, Entry entry) {
            super(ring, entry);
        }

        @Override
        void issue() {
            end(Errno.EINVAL.result());
        }
    }
}
