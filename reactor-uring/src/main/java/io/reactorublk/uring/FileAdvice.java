package io.reactorublk.uring;

import org.jspecify.annotations.Nullable;

/** {@code posix_fadvise(2)} on a whole file. */
final class FileAdvice extends FileMono<Void> {

    private final UringFile file;
    private final int advice;

    FileAdvice(UringFile file, int advice) {
        this.file = file;
        this.advice = advice;
    }

    @Override
    UringFile file() {
        return file;
    }

    @Override
    long stage(FileOperation<Void> operation) {
        return file.loop().ring().stage(operation).fadvise(file.fd(), advice, 0, 0).id();
    }

    @Override
    @Nullable Void value(FileOperation<Void> operation, int result) {
        return null;
    }

    @Override
    String call(UringFile file) {
        return "fadvise " + file.path();
    }

    @Override
    String hint(UringFile file, Errno errno) {
        return errno == Errno.ESPIPE ? "A pipe has no page cache" : "";
    }
}
