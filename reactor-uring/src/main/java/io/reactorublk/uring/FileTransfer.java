package io.reactorublk.uring;

/** {@code pread(2)} and {@code pwrite2(2)} of one buffer. The hot path of a file. */
final class FileTransfer extends FileMono<Integer> {

    private final UringFile file;
    private final boolean write;
    private final int rwFlags;
    private final IoBuffer buffer;
    private final long offset;

    FileTransfer(UringFile file, boolean write, IoBuffer buffer, long offset, int rwFlags) {
        UringFile.checkOffset(offset);
        this.file = file;
        this.write = write;
        this.rwFlags = rwFlags;
        this.buffer = buffer;
        this.offset = offset;
    }

    @Override
    UringFile file() {
        return file;
    }

    @Override
    void begin() {
        buffer.owner().begin();
    }

    @Override
    void end(int result, boolean cancelled) {
        buffer.owner().end(buffer, result, cancelled);
    }

    @Override
    long stage(FileOperation<Integer> operation) {
        Ring ring = file.loop().ring();
        switch (buffer) {
            case IoBuffer.Segment segment -> checkAlive(segment);
            case IoBuffer.Fixed fixed -> checkOwn(fixed, ring);
            case IoBuffer.Pages pages -> {
                return PagesTransfer.stage(ring, operation, pages, this);
            }
        }
        return write(ring.stage(operation), buffer).id();
    }

    /** Writes the transfer's own entry, for these bytes. */
    Sqe write(Sqe sqe, IoBuffer bytes) {
        return write ? sqe.write(file.fd(), bytes, offset).rwFlags(rwFlags) : sqe.read(file.fd(), bytes, offset);
    }

    private void checkOwn(IoBuffer.Fixed fixed, Ring ring) {
        if (fixed.ring() != ring) {
            throw new IllegalArgumentException(file + " is on " + file.loop().name() + ", and the buffer is registered with "
                    + "another loop's ring; open the file on that loop, or ask the request for its buffer on this one");
        }
    }

    /** An address outlives its memory; the kernel would find whatever lies there now. */
    static void checkAlive(IoBuffer.Segment segment) {
        if (!segment.memory().scope().isAlive()) throw new IllegalStateException("the arena of this buffer is closed");
    }

    @Override
    Integer value(FileOperation<Integer> operation, int result) {
        return result;
    }

    @Override
    String call(UringFile file) {
        return (write ? "write " : "read ") + file.path() + " at " + offset;
    }

    @Override
    String hint(UringFile file, Errno errno) {
        return hint(file, write, errno);
    }

    static String hint(UringFile file, boolean write, Errno errno) {
        return switch (errno) {
            case EBADF -> "It was opened for " + OpenFlags.purpose(file.flags()) + " only";
            case EISDIR -> "It is a directory";
            case EINVAL -> OpenFlags.isDirect(file.flags())
                    ? "With DIRECT, offset, length and memory must be aligned; status() says to what" : "";
            case EFAULT -> "The memory is not there, or no longer registered";
            case ENOSPC -> "The file system is full";
            case EFBIG -> "The file would be longer than its file system or `ulimit -f` allows";
            case EIO -> "The disk below failed; see the kernel's log";
            default -> "";
        };
    }
}
