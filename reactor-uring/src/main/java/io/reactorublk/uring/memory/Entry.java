package io.reactorublk.uring.memory;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import io.reactorublk.uring.abi.io_uring_h;
import io.reactorublk.uring.abi.io_uring_sqe;
import java.lang.foreign.MemorySegment;

/** A {@code struct io_uring_sqe}, copied when the kernel takes it: its place in the queue is free again at once. */
final class Entry {

    static final long SMALL_BYTES = io_uring_sqe.layout().byteSize();

    private static final long IOPRIO = io_uring_sqe.ioprio$offset();
    private static final long FD = io_uring_sqe.fd$offset();
    private static final long OFF = io_uring_sqe.off$offset();
    private static final long CMD_OP = io_uring_sqe.cmd_op$offset();
    private static final long ADDR = io_uring_sqe.addr$offset();
    private static final long LEN = io_uring_sqe.len$offset();
    private static final long OP_FLAGS = io_uring_sqe.rw_flags$offset();
    private static final long USER_DATA = io_uring_sqe.user_data$offset();
    private static final long BUF_INDEX = io_uring_sqe.buf_index$offset();
    private static final long CMD = io_uring_sqe.cmd$offset();

    final int opcode;
    final int flags;
    final int ioprio;
    final int fd;
    final long off;
    final int commandOp;
    final long addr;
    final int len;
    /** The flags of the operation: {@code rw_flags}, {@code timeout_flags} and so on. */
    final int opFlags;
    final long userData;
    /** A registered buffer, or a group of lent memory. */
    final int bufIndex;
    /** Of a command: a copy of its own, aligned like the original. */
    final MemorySegment payload;

    Entry(MemorySegment entries, long at, long bytes) {
        opcode = Byte.toUnsignedInt(entries.get(JAVA_BYTE, at));
        flags = Byte.toUnsignedInt(entries.get(JAVA_BYTE, at + 1));
        ioprio = Short.toUnsignedInt(entries.get(JAVA_SHORT, at + IOPRIO));
        fd = entries.get(JAVA_INT, at + FD);
        off = entries.get(JAVA_LONG, at + OFF);
        commandOp = entries.get(JAVA_INT, at + CMD_OP);
        addr = entries.get(JAVA_LONG, at + ADDR);
        len = entries.get(JAVA_INT, at + LEN);
        opFlags = entries.get(JAVA_INT, at + OP_FLAGS);
        userData = entries.get(JAVA_LONG, at + USER_DATA);
        bufIndex = Short.toUnsignedInt(entries.get(JAVA_SHORT, at + BUF_INDEX));
        boolean hasPayload = opcode == io_uring_h.IORING_OP_URING_CMD();
        payload = hasPayload ? copy(entries.asSlice(at + CMD, bytes - CMD)) : MemorySegment.NULL;
    }

    private static MemorySegment copy(MemorySegment payload) {
        return MemorySegment.ofArray(payload.toArray(JAVA_LONG));
    }

    boolean has(int flag) {
        return (flags & flag) != 0;
    }

    boolean hasOpFlag(int flag) {
        return (opFlags & flag) != 0;
    }

    boolean isLinked() {
        return has(io_uring_h.IOSQE_IO_LINK() | io_uring_h.IOSQE_IO_HARDLINK());
    }

    boolean isHardLinked() {
        return has(io_uring_h.IOSQE_IO_HARDLINK());
    }
}
