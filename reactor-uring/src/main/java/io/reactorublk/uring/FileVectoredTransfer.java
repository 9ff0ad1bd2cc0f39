package io.reactorublk.uring;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;
import java.util.List;

/** {@code preadv(2)} and {@code pwritev(2)}: several pieces of memory, one piece of file. */
final class FileVectoredTransfer extends FileMono<Integer> {

    /** {@code IOV_MAX}. */
    static final int MAX_PIECES = 1024;

    private static final int PIECE_BYTES = 2 * Long.BYTES;

    private final UringFile file;
    private final boolean write;
    private final List<IoBuffer.Segment> pieces;
    private final long offset;

    FileVectoredTransfer(UringFile file, boolean write, List<IoBuffer.Segment> pieces, long offset) {
        UringFile.checkOffset(offset);
        if (pieces.isEmpty() || pieces.size() > MAX_PIECES) {
            throw new IllegalArgumentException(
                    pieces.size() + " pieces of memory: from 1 to " + MAX_PIECES + " are possible");
        }
        this.file = file;
        this.write = write;
        this.pieces = List.copyOf(pieces);
        this.offset = offset;
    }

    static long bytes(int pieces) {
        return (long) pieces * PIECE_BYTES;
    }

    @Override
    UringFile file() {
        return file;
    }

    @Override
    void begin() {
        for (int i = 0; i < pieces.size(); i++) {
            try {
                pieces.get(i).owner().begin();
            } catch (RuntimeException e) {
                for (IoBuffer.Segment begun : pieces.subList(0, i)) begun.owner().end(begun, Errno.ECANCELED.result(), false);
                throw e;
            }
        }
    }

    /** What was done was done to the first pieces. */
    @Override
    void end(int result, boolean cancelled) {
        int left = result;
        for (IoBuffer.Segment piece : pieces) {
            int done = Math.min(left, piece.length());
            piece.owner().end(piece, done, cancelled);
            left -= Math.max(0, done);
        }
    }

    @Override
    long stage(FileOperation<Integer> operation) {
        MemorySegment iovecs = file.takeScratch();
        operation.scratch = iovecs;
        for (int i = 0; i < pieces.size(); i++) {
            FileTransfer.checkAlive(pieces.get(i));
            MemorySegment memory = pieces.get(i).memory();
            iovecs.set(JAVA_LONG, bytes(i), memory.address());
            iovecs.set(JAVA_LONG, bytes(i) + Long.BYTES, memory.byteSize());
        }
        Sqe sqe = file.loop().ring().stage(operation);
        return (write
                ? sqe.writev(file.fd(), iovecs.address(), pieces.size(), offset)
                : sqe.readv(file.fd(), iovecs.address(), pieces.size(), offset)).id();
    }

    @Override
    Integer value(FileOperation<Integer> operation, int result) {
        return result;
    }

    @Override
    String call(UringFile file) {
        return (write ? "writev " : "readv ") + file.path() + " at " + offset;
    }

    @Override
    String hint(UringFile file, Errno errno) {
        return FileTransfer.hint(file, write, errno);
    }
}
