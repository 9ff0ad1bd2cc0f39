package io.reactorublk.uring;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import io.reactorublk.uring.abi.io_uring_h;
import io.reactorublk.uring.abi.io_uring_sqe;
import java.lang.foreign.MemorySegment;

/**
 * One submission queue entry, written as a verb: {@code ring.stage(handler).read(fd, buffer, offset)}.
 *
 * <pre>
 *    0  opcode u8    1  flags u8    2  ioprio u16    4  fd s32
 *    8  off u64  | addr2 | cmd_op u32, pad
 *   16  addr u64
 *   24  len u32
 *   28  rw_flags | fsync_flags | timeout_flags | cancel_flags | statx_flags | uring_cmd_flags  u32
 *   32  user_data u64                      owned by the {@link HandlerTable}
 *   40  buf_index | buf_group  u16
 *   42  personality u16
 *   44  file_index u32
 *   48  cmd[16], or cmd[80] of a 128-byte entry
 * </pre>
 *
 * <p>There is one object per ring, moved from entry to entry: use it before the next {@link Ring#stage}, on the ring's
 * thread, and do not keep it. Mirrors {@code struct io_uring_sqe} and liburing's {@code io_uring_prep_*}.
 */
public final class Sqe {

    private static final long OPCODE = io_uring_sqe.opcode$offset();
    private static final long FLAGS = io_uring_sqe.flags$offset();
    private static final long FD = io_uring_sqe.fd$offset();
    private static final long OFF = io_uring_sqe.off$offset();
    private static final long CMD_OP = io_uring_sqe.cmd_op$offset();
    private static final long ADDR = io_uring_sqe.addr$offset();
    private static final long LEN = io_uring_sqe.len$offset();
    private static final long OP_FLAGS = io_uring_sqe.rw_flags$offset();
    private static final long USER_DATA = io_uring_sqe.user_data$offset();
    private static final long BUF_INDEX = io_uring_sqe.buf_index$offset();
    private static final long CMD = io_uring_sqe.cmd$offset();

    private final MemorySegment entries;
    private long at;

    Sqe(MemorySegment entries) {
        this.entries = entries;
    }

    Sqe at(long offset) {
        at = offset;
        return this;
    }

    /** What {@link Ring#cancel} needs to find this operation again. */
    public long id() {
        return entries.get(JAVA_LONG, at + USER_DATA);
    }

    /** Does nothing, and says so. */
    public Sqe nop() {
        return op(io_uring_h.IORING_OP_NOP(), -1);
    }

    /** {@code pread(2)}; a result of 0 is the end of the file. */
    public Sqe read(int fd, IoBuffer buffer, long offset) {
        return transfer(io_uring_h.IORING_OP_READ(), io_uring_h.IORING_OP_READ_FIXED(), fd, buffer, offset);
    }

    /** {@code pwrite(2)}; may write less. */
    public Sqe write(int fd, IoBuffer buffer, long offset) {
        return transfer(io_uring_h.IORING_OP_WRITE(), io_uring_h.IORING_OP_WRITE_FIXED(), fd, buffer, offset);
    }

    private Sqe transfer(int opcode, int fixedOpcode, int fd, IoBuffer buffer, long offset) {
        switch (buffer) {
            case IoBuffer.Segment segment -> op(opcode, fd).addr(segment.memory().address());
            case IoBuffer.Fixed fixed -> {
                op(fixedOpcode, fd).addr(fixed.address());
                entries.set(JAVA_SHORT, at + BUF_INDEX, (short) fixed.index());
            }
            case IoBuffer.Pages pages -> throw new IllegalArgumentException(
                    "a driver's pages take a chain of entries: Ring.stageTransfer");
        }
        return len(buffer.length()).off(offset);
    }

    /** {@code preadv(2)} into {@code count} pieces listed at {@code iovecs}. */
    public Sqe readv(int fd, long iovecs, int count, long offset) {
        return op(io_uring_h.IORING_OP_READV(), fd).addr(iovecs).len(count).off(offset);
    }

    /** {@code pwritev(2)} of {@code count} pieces listed at {@code iovecs}. */
    public Sqe writev(int fd, long iovecs, int count, long offset) {
        return op(io_uring_h.IORING_OP_WRITEV(), fd).addr(iovecs).len(count).off(offset);
    }

    /** {@code RWF_*} of a read or a write. */
    public Sqe rwFlags(int flags) {
        return opFlags(flags);
    }

    /** Reads again and again, each time into a buffer of the group, until the group is empty or the file ends. */
    public Sqe readMultishot(int fd, int bufferGroup) {
        return op(io_uring_h.IORING_OP_READ_MULTISHOT(), fd).off(-1).bufferSelect(bufferGroup);
    }

    /** {@code fsync(2)}, or {@code fdatasync(2)} if only the data must be found again. */
    public Sqe sync(int fd, boolean dataOnly) {
        return op(io_uring_h.IORING_OP_FSYNC(), fd).opFlags(dataOnly ? io_uring_h.IORING_FSYNC_DATASYNC() : 0);
    }

    /** {@code fallocate(2)}. */
    public Sqe fallocate(int fd, int mode, long offset, long length) {
        return op(io_uring_h.IORING_OP_FALLOCATE(), fd).off(offset).addr(length).len(mode);
    }

    /** {@code posix_fadvise(2)}; a length of 0 reaches to the end of the file. */
    public Sqe fadvise(int fd, int advice, long offset, int length) {
        return op(io_uring_h.IORING_OP_FADVISE(), fd).off(offset).len(length).opFlags(advice);
    }

    /** {@code openat(2)}; {@code path} is the address of a zero-terminated string. */
    public Sqe openat(int directory, long path, int flags, int mode) {
        return op(io_uring_h.IORING_OP_OPENAT(), directory).addr(path).len(mode).opFlags(flags);
    }

    /** {@code close(2)}. */
    public Sqe close(int fd) {
        return op(io_uring_h.IORING_OP_CLOSE(), fd);
    }

    /** {@code statx(2)}; {@code path} and {@code result} are addresses. */
    public Sqe statx(int directory, long path, int flags, int mask, long result) {
        return op(io_uring_h.IORING_OP_STATX(), directory).addr(path).len(mask).off(result).opFlags(flags);
    }

    /** Ends with {@code ETIME} after the {@code __kernel_timespec} at this address, or with 0 after {@code count} completions. */
    public Sqe timeout(long timespec, int count, int flags) {
        return op(io_uring_h.IORING_OP_TIMEOUT(), -1).addr(timespec).len(1).off(count).opFlags(flags);
    }

    /** Cancels the operation it is linked to, unless that ends within the {@code __kernel_timespec} at this address. */
    public Sqe linkTimeout(long timespec, int flags) {
        return op(io_uring_h.IORING_OP_LINK_TIMEOUT(), -1).addr(timespec).len(1).opFlags(flags);
    }

    /** Cancels the operation with this {@link #id}, or what else the {@code IORING_ASYNC_CANCEL_*} flags say. */
    public Sqe cancel(long id, int flags) {
        return op(io_uring_h.IORING_OP_ASYNC_CANCEL(), -1).addr(id).opFlags(flags);
    }

    /** A command to a driver; its payload follows by {@link #payload}, zero where nothing is put. */
    public Sqe command(int fd, int commandOp) {
        op(io_uring_h.IORING_OP_URING_CMD(), fd);
        entries.set(JAVA_INT, at + CMD_OP, commandOp);
        return this;
    }

    /** A command that completes many times, each with memory from the buffer group. */
    public Sqe commandMultishot(int bufferGroup) {
        return opFlags(io_uring_h.IORING_URING_CMD_MULTISHOT()).bufferSelect(bufferGroup);
    }

    /** The address and the length a command works on. */
    public Sqe commandMemory(MemorySegment memory) {
        return addr(memory.address()).len((int) memory.byteSize());
    }

    /** Where a command's payload lies: 16 bytes, or 80 in a 128-byte entry. */
    public MemorySegment payload(long lengthBytes) {
        return entries.asSlice(at + CMD, lengthBytes);
    }

    /** The next staged entry starts when this one has ended well, else it ends with {@code ECANCELED}. */
    public Sqe link() {
        return flag(io_uring_h.IOSQE_IO_LINK());
    }

    /** The next staged entry starts when this one has ended, however. */
    public Sqe hardLink() {
        return flag(io_uring_h.IOSQE_IO_HARDLINK());
    }

    /** The descriptor is an index into the ring's table of registered files. */
    public Sqe fixedFile() {
        return flag(io_uring_h.IOSQE_FIXED_FILE());
    }

    private Sqe bufferSelect(int group) {
        entries.set(JAVA_SHORT, at + BUF_INDEX, (short) group);
        return flag(io_uring_h.IOSQE_BUFFER_SELECT());
    }

    /** The first eight bytes in one store: opcode, no flags yet, no priority, descriptor. */
    private Sqe op(int opcode, int fd) {
        entries.set(JAVA_LONG, at + OPCODE, ((long) fd << (8 * FD)) | opcode);
        return this;
    }

    private Sqe flag(int flag) {
        entries.set(JAVA_BYTE, at + FLAGS, (byte) (entries.get(JAVA_BYTE, at + FLAGS) | flag));
        return this;
    }

    private Sqe off(long off) {
        entries.set(JAVA_LONG, at + OFF, off);
        return this;
    }

    private Sqe addr(long addr) {
        entries.set(JAVA_LONG, at + ADDR, addr);
        return this;
    }

    private Sqe len(int len) {
        entries.set(JAVA_INT, at + LEN, len);
        return this;
    }

    private Sqe opFlags(int flags) {
        entries.set(JAVA_INT, at + OP_FLAGS, flags);
        return this;
    }
}
