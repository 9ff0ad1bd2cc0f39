package io.reactorublk.uring;

import io.reactorublk.uring.abi.linux_h;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Objects;

/** {@code statx(2)} of an open file. */
final class FileStatusQuery extends FileMono<FileStatus> {

    private final UringFile file;

    FileStatusQuery(UringFile file) {
        this.file = file;
    }

    @Override
    UringFile file() {
        return file;
    }

    /** The status comes first, after it the empty path. */
    @Override
    long stage(FileOperation<FileStatus> operation) {
        MemorySegment scratch = file.takeScratch();
        operation.scratch = scratch;
        scratch.set(ValueLayout.JAVA_BYTE, FileStatus.BYTES, (byte) 0);
        return file.loop().ring().stage(operation).statx(file.fd(), scratch.address() + FileStatus.BYTES,
                linux_h.AT_EMPTY_PATH(), FileStatus.MASK, scratch.address()).id();
    }

    @Override
    FileStatus value(FileOperation<FileStatus> operation, int result) {
        return FileStatus.read(Objects.requireNonNull(operation.scratch));
    }

    @Override
    String call(UringFile file) {
        return "statx " + file.path();
    }
}
