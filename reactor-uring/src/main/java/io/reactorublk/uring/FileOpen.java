package io.reactorublk.uring;

import io.reactorublk.uring.abi.linux_h;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/** {@code openat(2)}. Each subscription opens a file of its own. */
final class FileOpen extends FileMono<UringFile> {

    /** Reading and writing for all, less the process's umask, as {@link java.nio.channels.FileChannel} does. */
    private static final int MODE = 0666;

    private final EventLoop loop;
    private final Path path;
    private final int flags;

    FileOpen(EventLoop loop, Path path, int flags) {
        this.loop = loop;
        this.path = path;
        this.flags = flags;
    }

    @Override
    UringFile file() {
        return new UringFile(loop, path, flags);
    }

    @Override
    long stage(FileOperation<UringFile> operation) {
        byte[] name = path.toString().getBytes(StandardCharsets.UTF_8);
        if (name.length >= UringFile.SCRATCH_BYTES) throw new KernelException(call(operation.file), Errno.ENAMETOOLONG);
        MemorySegment scratch = operation.file.takeScratch();
        operation.scratch = scratch;
        MemorySegment.copy(name, 0, scratch, ValueLayout.JAVA_BYTE, 0, name.length);
        scratch.set(ValueLayout.JAVA_BYTE, name.length, (byte) 0);
        return loop.ring().stage(operation).openat(linux_h.AT_FDCWD(), scratch.address(), flags, MODE).id();
    }

    @Override
    UringFile value(FileOperation<UringFile> operation, int result) {
        return operation.file.opened(result);
    }

    @Override
    String call(UringFile file) {
        return "open " + path;
    }

    @Override
    String hint(UringFile file, Errno errno) {
        return switch (errno) {
            case ENOENT -> (flags & linux_h.O_CREAT()) == 0
                    ? "There is no such file; CREATE would make one" : "Its directory does not exist";
            case EEXIST -> "It is there already; CREATE instead of CREATE_NEW opens it";
            case EACCES, EPERM ->
                    "This user may not open it for " + OpenFlags.purpose(flags) + ", or not pass a directory above";
            case EISDIR -> "It is a directory, which cannot be written";
            case EROFS -> "Its file system is mounted read-only; READ alone would work";
            case EINVAL -> OpenFlags.isDirect(flags) ? "Its file system does not support O_DIRECT; leave out DIRECT" : "";
            case ETXTBSY -> "It is in use, as a running program or as swap";
            case EBUSY -> "It is a device that somebody else has exclusively";
            case EMFILE -> "This process has too many open files; raise `ulimit -n`";
            default -> "";
        };
    }

    @Override
    void failed(UringFile file) {
        file.free();
    }

    @Override
    void discarded(UringFile file) {
        file.closeOnLoop();                                            // nobody else knows the descriptor
    }
}
