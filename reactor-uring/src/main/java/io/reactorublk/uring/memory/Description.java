package io.reactorublk.uring.memory;

import io.reactorublk.uring.Errno;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.abi.linux_h;
import io.reactorublk.uring.abi.statx;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * An open file description, as {@code open(2)} calls it: what descriptors, places in rings' file tables and operations in
 * flight refer to. It is released when the last of them is gone.
 *
 * <p>The methods are what a file can be asked to do; each kind of file overrides what it can. They return a result or a
 * negative errno, {@link #AGAIN} to be asked again once {@link #readable} or {@link #writable} says so.
 */
abstract class Description {

    static final int AGAIN = Errno.EAGAIN.result();
    static final int S_IFIFO = 0010000;
    static final int S_IFCHR = 0020000;
    static final int PREFERRED_BLOCK_BYTES = 4096;

    private static final int ACCESS_MODE = linux_h.O_RDONLY() | linux_h.O_WRONLY() | linux_h.O_RDWR();

    private final int flags;
    private int references;

    Description(int flags) {
        this.flags = flags;
    }

    /** {@code O_*} it was opened with. */
    final int flags() {
        return flags;
    }

    final boolean has(int flag) {
        return (flags & flag) == flag;
    }

    final boolean opensForReading() {
        return (flags & ACCESS_MODE) != linux_h.O_WRONLY();
    }

    final boolean opensForWriting() {
        return (flags & ACCESS_MODE) != linux_h.O_RDONLY();
    }

    final void hold() {
        references++;
    }

    final void drop() {
        if (--references == 0) released();
    }

    /** Nobody refers to it any more. */
    void released() {}

    /** What to wait for when there is nothing to read; null for a file that has no such state. */
    @Nullable WaitQueue readable() {
        return null;
    }

    /** What to wait for when nothing can be written. */
    @Nullable WaitQueue writable() {
        return null;
    }

    /** Whether a worker of the kernel reads and writes it, which may have to wait for a disk. */
    boolean isStorage() {
        return false;
    }

    /** How long its disk takes. */
    long latencyNanos() {
        return 0;
    }

    /** Whether buffers that are registered with a ring may be read into and written from. */
    boolean takesRegisteredMemory() {
        return true;
    }

    int read(List<MemorySegment> pieces, long offset) {
        return Errno.EINVAL.result();
    }

    int write(List<MemorySegment> pieces, long offset, boolean durable) {
        return Errno.EINVAL.result();
    }

    int sync() {
        return Errno.EINVAL.result();
    }

    /** {@code ftruncate(2)}. */
    int truncate(long lengthBytes) {
        return Errno.EINVAL.result();
    }

    int allocate(int mode, long offset, long length) {
        return Errno.ENODEV.result();
    }

    /** {@code posix_fadvise(2)}, which most files ignore. */
    int advise(int advice) {
        return 0;
    }

    /** {@code S_IF*} and permissions. */
    abstract int mode();

    long size() {
        return 0;
    }

    /** {@code statx(2)}. */
    void status(MemorySegment status) {
        status.fill((byte) 0);
        statx.stx_mask(status, linux_h.STATX_BASIC_STATS());
        statx.stx_mode(status, (short) mode());
        statx.stx_size(status, size());
        statx.stx_blksize(status, PREFERRED_BLOCK_BYTES);
        statx.stx_nlink(status, 1);
    }

    MemorySegment map(long offset, long length, Arena arena) {
        throw new KernelException("mmap", Errno.ENODEV);
    }
}
