package io.reactorublk.uring;

import io.reactorublk.uring.abi.linux_h;
import org.jspecify.annotations.Nullable;

/** {@code fallocate(2)}. */
final class FileAllocation extends FileMono<Void> {

    /** What to do with the range. */
    enum Mode {
        /** Its blocks exist from now on. */
        ALLOCATE("fallocate", 0),
        /** Its blocks are given back. */
        PUNCH_HOLE("fallocate(PUNCH_HOLE)", linux_h.FALLOC_FL_PUNCH_HOLE() | linux_h.FALLOC_FL_KEEP_SIZE()),
        /** Its blocks stay, and read as zeroes. */
        ZERO_RANGE("fallocate(ZERO_RANGE)", linux_h.FALLOC_FL_ZERO_RANGE() | linux_h.FALLOC_FL_KEEP_SIZE());

        private final String call;
        private final int flags;

        Mode(String call, int flags) {
            this.call = call;
            this.flags = flags;
        }
    }

    private final UringFile file;
    private final Mode mode;
    private final long offset;
    private final long length;

    FileAllocation(UringFile file, Mode mode, long offset, long length) {
        UringFile.checkOffset(offset);
        if (length < 1) throw new IllegalArgumentException("a range of " + length + " bytes; at least 1 is needed");
        this.file = file;
        this.mode = mode;
        this.offset = offset;
        this.length = length;
    }

    @Override
    UringFile file() {
        return file;
    }

    @Override
    long stage(FileOperation<Void> operation) {
        return file.loop().ring().stage(operation).fallocate(file.fd(), mode.flags, offset, length).id();
    }

    @Override
    @Nullable Void value(FileOperation<Void> operation, int result) {
        return null;
    }

    @Override
    String call(UringFile file) {
        return mode.call + " " + file.path() + " at " + offset + ", " + length + " bytes";
    }

    @Override
    String hint(UringFile file, Errno errno) {
        return switch (errno) {
            case EOPNOTSUPP -> "Its file system or device cannot do this; "
                    + (mode == Mode.ALLOCATE ? "leave it sparse" : "write zeroes instead");
            case EBADF -> "It was not opened with WRITE";
            case ENOSPC -> "The file system is full";
            case EFBIG -> "The file would be longer than its file system or `ulimit -f` allows";
            case EINVAL -> "On a block device a range must be a multiple of its sectors";
            case ENODEV, ESPIPE -> "It is neither a regular file nor a block device";
            default -> "";
        };
    }
}
