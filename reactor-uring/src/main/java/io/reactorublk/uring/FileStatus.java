package io.reactorublk.uring;

import io.reactorublk.uring.abi.linux_h;
import io.reactorublk.uring.abi.statx;
import java.lang.foreign.MemorySegment;

/**
 * What a file is, as {@code statx(2)} said at one moment.
 *
 * @param mode type and permissions, {@code stx_mode}
 * @param size in bytes; 0 for a block device, whose size statx does not tell
 * @param blockSize in bytes: what the file system would like reads and writes to be a multiple of
 * @param directMemoryAlignment in bytes: what {@link UringOpenOption#DIRECT} asks of memory; 0 if the kernel does not say,
 *     or cannot do it
 * @param directOffsetAlignment in bytes: what it asks of offsets and lengths; 0 as above
 */
public record FileStatus(int mode, long size, int blockSize, int directMemoryAlignment, int directOffsetAlignment) {

    static final int MASK = linux_h.STATX_BASIC_STATS() | linux_h.STATX_DIOALIGN();
    static final long BYTES = statx.layout().byteSize();

    static FileStatus read(MemorySegment status) {
        return new FileStatus(Short.toUnsignedInt(statx.stx_mode(status)), statx.stx_size(status), statx.stx_blksize(status),
                statx.stx_dio_mem_align(status), statx.stx_dio_offset_align(status));
    }

    /** An ordinary file. */
    public boolean isRegularFile() {
        return isA(linux_h.S_IFREG());
    }

    /** A directory. */
    public boolean isDirectory() {
        return isA(linux_h.S_IFDIR());
    }

    /** A block device. */
    public boolean isBlockDevice() {
        return isA(linux_h.S_IFBLK());
    }

    private boolean isA(int type) {
        return (mode & linux_h.S_IFMT()) == type;
    }
}
