package io.reactorublk.uring.memory;

import io.reactorublk.uring.Errno;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.abi.linux_h;
import io.reactorublk.uring.abi.statx;
import java.lang.foreign.MemorySegment;
import java.util.List;

/** A {@link MemoryFile} somebody has opened. */
final class OpenRegularFile extends Description {

    /** What {@code O_DIRECT} asks of memory, offsets and lengths: a sector. */
    private static final int DIRECT_ALIGNMENT = 512;

    private final MemoryFile file;
    private int knownFailures;

    private OpenRegularFile(MemoryFile file, int flags) {
        super(flags);
        this.file = file;
        knownFailures = file.firstFailure();
    }

    static OpenRegularFile open(String path, MemoryFile file, int flags) {
        OpenRegularFile opened = new OpenRegularFile(file, flags);
        if (opened.isDirect() && !file.knowsDirect()) throw new KernelException("open " + path, Errno.EINVAL);
        if (opened.has(linux_h.O_TRUNC()) && opened.opensForWriting()) file.truncate(0);
        return opened;
    }

    private boolean isDirect() {
        return has(linux_h.O_DIRECT());
    }

    @Override
    boolean isStorage() {
        return true;
    }

    @Override
    long latencyNanos() {
        return file.latencyNanos();
    }

    @Override
    int read(List<MemorySegment> pieces, long offset) {
        return offset < 0 || isMisaligned(pieces, offset) ? Errno.EINVAL.result() : file.read(pieces, offset);
    }

    @Override
    int write(List<MemorySegment> pieces, long offset, boolean durable) {
        if (offset < 0 || isMisaligned(pieces, offset)) return Errno.EINVAL.result();
        boolean durably = durable || has(linux_h.O_DSYNC());
        int done = file.write(pieces, offset, durably);
        int failure = durably && done > 0 ? newFailure() : 0;          // generic_write_sync()
        return failure < 0 ? failure : done;
    }

    private boolean isMisaligned(List<MemorySegment> pieces, long offset) {
        if (!isDirect()) return false;
        long bits = offset;
        for (MemorySegment piece : pieces) bits |= piece.address() | piece.byteSize();
        return bits % DIRECT_ALIGNMENT != 0;
    }

    @Override
    int sync() {
        file.sync();
        return newFailure();
    }

    /** {@code file_check_and_advance_wb_err()}: each open file is told of a failure once, whoever caused it. */
    private int newFailure() {
        int failure = file.failureSince(knownFailures);
        knownFailures = file.failures();
        return failure;
    }

    @Override
    int truncate(long lengthBytes) {
        if (lengthBytes < 0 || !opensForWriting()) return Errno.EINVAL.result();
        file.truncate(lengthBytes);
        return 0;
    }

    @Override
    int allocate(int mode, long offset, long length) {
        return file.allocate(mode, offset, length);
    }

    @Override
    int advise(int advice) {
        if (advice == linux_h.POSIX_FADV_DONTNEED()) file.forget();
        return 0;
    }

    @Override
    long size() {
        return file.size();
    }

    @Override
    int mode() {
        return linux_h.S_IFREG() | 0644;
    }

    @Override
    void status(MemorySegment status) {
        super.status(status);
        if (!file.knowsDirect()) return;
        statx.stx_mask(status, statx.stx_mask(status) | linux_h.STATX_DIOALIGN());
        statx.stx_dio_mem_align(status, DIRECT_ALIGNMENT);
        statx.stx_dio_offset_align(status, DIRECT_ALIGNMENT);
    }
}
