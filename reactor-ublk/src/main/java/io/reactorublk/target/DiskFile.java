package io.reactorublk.target;

import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.WRITE;

import io.reactorublk.uring.Errno;
import io.reactorublk.uring.EventLoop;
import io.reactorublk.uring.FileStatus;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.UringFile;
import io.reactorublk.uring.UringOpenOption;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;

/** A file that holds a disk's data, or a part of it: how it is opened, and what is said if it cannot be served. */
record DiskFile(Path path, boolean direct, boolean readOnly) {

    private static final String A_DIRECTORY = "but a directory; name a file in it";

    /** On one loop. */
    Mono<UringFile> open(EventLoop loop) {
        List<OpenOption> options = new ArrayList<>();
        options.add(READ);
        if (!readOnly) options.add(WRITE);
        if (direct) options.add(UringOpenOption.DIRECT);
        return UringFile.open(loop, path, options.toArray(OpenOption[]::new)).onErrorMap(KernelException.class, this::withRemedy);
    }

    /** What helps who serves a file is not always what helps who opens one. */
    private KernelException withRemedy(KernelException refusal) {
        return switch (refusal.errno()) {
            case ENOENT -> new KernelException(refusal.call(), Errno.ENOENT, remedyForMissing());
            case EISDIR -> new KernelException(refusal.call(), Errno.EISDIR, "It is a directory; name a file in it");
            case EACCES, EPERM, EROFS -> new KernelException(refusal.call(), refusal.errno(), readOnly
                    ? "This user may not read it; grant it (chmod, chown)"
                    : "This user may not write it; grant it (chmod, chown, mount -o remount,rw), or serve it readOnly()");
            case EINVAL -> new KernelException(refusal.call(), Errno.EINVAL, direct
                    ? "Its file system does not support O_DIRECT; leave out direct()" : "");
            default -> refusal;
        };
    }

    private String remedyForMissing() {
        return "Make it first, for example with: truncate -s 1G " + path;
    }

    /** How large it is now, in bytes. Blocks. */
    long sizeBytes() {
        if (Files.isDirectory(path)) throw noDisk(A_DIRECTORY);
        try (FileChannel channel = FileChannel.open(path, READ)) {
            return channel.size();                                     // of a block device too, unlike Files.size
        } catch (NoSuchFileException e) {
            throw new UncheckedIOException(path + " is missing. " + remedyForMissing(), e);
        } catch (IOException e) {
            throw new UncheckedIOException("the size of " + path + " cannot be told: " + e, e);
        }
    }

    /** How large it is, once it is open; an error if it is nothing that can be a disk. */
    Mono<Long> size(FileStatus status) {
        if (status.isRegularFile()) return Mono.just(status.size());
        if (status.isBlockDevice()) return Mono.fromCallable(this::sizeBytes).subscribeOn(Schedulers.boundedElastic());
        return Mono.error(noDisk(status.isDirectory() ? A_DIRECTORY : "but something without an end; name one"));
    }

    private IllegalArgumentException noDisk(String but) {
        return new IllegalArgumentException(path + " is neither a regular file nor a block device " + but);
    }

    /** Whether it can be read and written in a device's blocks. */
    void requireBlocks(FileStatus status, int blockSize) {
        int alignment = direct ? status.directOffsetAlignment() : 0;
        require(alignment <= blockSize, ("O_DIRECT on %s takes multiples of %d bytes, and the device's blocks "
                + "have %d; serve it with blockSize(%d), or leave out direct()").formatted(path, alignment, blockSize, alignment));
    }

    /** WRITE_ZEROES of a range. */
    static Mono<Void> zero(UringFile file, long offset, long length, boolean keepAllocated) {
        return keepAllocated ? file.zeroRange(offset, length) : file.punchHole(offset, length);
    }

    static void require(boolean condition, String complaint) {
        if (!condition) throw new IllegalArgumentException(complaint);
    }

    /** For the {@code toString} of a target. */
    String options() {
        return (direct ? ", direct" : "") + (readOnly ? ", read-only" : "");
    }
}
