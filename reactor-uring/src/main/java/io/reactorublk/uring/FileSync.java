package io.reactorublk.uring;

import org.jspecify.annotations.Nullable;

/** {@code fsync(2)} and {@code fdatasync(2)}. */
final class FileSync extends FileMono<Void> {

    private final UringFile file;
    private final boolean dataOnly;

    FileSync(UringFile file, boolean dataOnly) {
        this.file = file;
        this.dataOnly = dataOnly;
    }

    @Override
    UringFile file() {
        return file;
    }

    @Override
    long stage(FileOperation<Void> operation) {
        return file.loop().ring().stage(operation).sync(file.fd(), dataOnly).id();
    }

    @Override
    @Nullable Void value(FileOperation<Void> operation, int result) {
        return null;
    }

    @Override
    String call(UringFile file) {
        return (dataOnly ? "fdatasync " : "fsync ") + file.path();
    }

    @Override
    String hint(UringFile file, Errno errno) {
        return switch (errno) {
            case EIO, ENOSPC, EDQUOT ->
                    "Writes that had seemed to succeed may be lost; a second try will not bring them back";
            case EINVAL -> "It is nothing that can be synchronized, such as a pipe";
            default -> "";
        };
    }
}
