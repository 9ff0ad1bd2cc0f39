package io.reactorublk.target;

import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.WRITE;

import io.reactorublk.BlockQueue;
import io.reactorublk.BlockRequest;
import io.reactorublk.BlockTarget;
import io.reactorublk.Completion;
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
import org.reactivestreams.Publisher;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;

/**
 * A file as a disk: a regular one, which stays sparse, or a block device. Immutable, and nothing is opened before it is
 * served.
 *
 * {@snippet file="io/reactorublk/Snippets.java" region="file"}
 *
 * <p>Each queue opens the file for itself, on its own ring. FLUSH is {@code fdatasync(2)} and makes the writes of all queues
 * durable; a {@link BlockRequest#isFua() FUA} write is durable by itself, so the device may be declared
 * {@link io.reactorublk.UblkServer#fua() fua()}. DISCARD gives space back to the file system, and so does WRITE_ZEROES
 * unless it must not. What the file system cannot do is answered with EOPNOTSUPP, and the block layer helps itself.
 *
 * <p>A file that cannot be served makes {@link io.reactorublk.UblkServer#start} fail: one that is missing or no file, that we
 * may not write, that is shorter than the device, or that needs larger blocks for O_DIRECT. If it is made shorter later,
 * reads of what is gone fail with EIO.
 */
public final class FileTarget implements BlockTarget {

    private static final String A_DIRECTORY = "but a directory; name a file in it";

    private final Path path;
    private final boolean direct;
    private final boolean readOnly;

    private FileTarget(Path path, boolean direct, boolean readOnly) {
        this.path = path;
        this.direct = direct;
        this.readOnly = readOnly;
    }

    /** This file, read and written through the page cache. */
    public static FileTarget of(Path path) {
        return new FileTarget(path, false, false);
    }

    /**
     * Past the page cache ({@code O_DIRECT}), so that data is not cached twice: once for the device and once for the file.
     * The device's blocks must then be no smaller than what the file's disk can write.
     */
    public FileTarget direct() {
        return new FileTarget(path, true, readOnly);
    }

    /** Opens the file for reading only: for a device that is {@link io.reactorublk.UblkServer#readOnly() readOnly()} too. */
    public FileTarget readOnly() {
        return new FileTarget(path, direct, true);
    }

    /**
     * How large the file is now, in bytes: for {@link io.reactorublk.UblkServer#size}. Asks the operating system, and blocks
     * as long as that takes.
     *
     * @throws UncheckedIOException if it cannot tell
     * @throws IllegalArgumentException if it is a directory
     */
    public long sizeBytes() {
        if (Files.isDirectory(path)) throw noDisk(A_DIRECTORY);
        try (FileChannel channel = FileChannel.open(path, READ)) {
            return channel.size();                                     // of a block device too, unlike Files.size
        } catch (NoSuchFileException e) {
            throw new UncheckedIOException(path + " is missing. " + remedyForMissing(), e);
        } catch (IOException e) {
            throw new UncheckedIOException("the size of " + path + " cannot be told: " + e, e);
        }
    }

    @Override
    public Publisher<Completion> serve(BlockQueue queue) {
        return Flux.usingWhen(
                open(queue.loop()),
                file -> requireFit(file, queue).thenMany(queue.answer(request -> answer(file, request))),
                UringFile::close);
    }

    private static Mono<Completion> answer(UringFile file, BlockRequest request) {
        return switch (request.operation()) {
            case READ, WRITE -> request.transfer(file, request.offset());
            case FLUSH -> file.dataSync().thenReturn(request.complete());
            case DISCARD -> file.punchHole(request.offset(), request.length()).thenReturn(request.complete());
            case WRITE_ZEROES -> zero(file, request).thenReturn(request.complete());
        };
    }

    private static Mono<Void> zero(UringFile file, BlockRequest request) {
        return request.isNoUnmap()
                ? file.zeroRange(request.offset(), request.length())
                : file.punchHole(request.offset(), request.length());
    }

    private Mono<UringFile> open(EventLoop loop) {
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

    /** Now, with words, rather than later, with an error for each request. */
    private Mono<Void> requireFit(UringFile file, BlockQueue queue) {
        return file.status().flatMap(status -> size(status).doOnNext(bytes -> {
            require(bytes >= queue.sizeBytes(), ("%s has %d bytes, less than the device, which has %d; "
                    + "serve a device of size(%d), or make the file longer: truncate -s %d %s")
                    .formatted(path, bytes, queue.sizeBytes(), bytes - bytes % queue.blockSize(), queue.sizeBytes(), path));
            int alignment = direct ? status.directOffsetAlignment() : 0;
            require(alignment <= queue.blockSize(), ("O_DIRECT on %s takes multiples of %d bytes, and the device's blocks "
                    + "have %d; serve it with blockSize(%d), or leave out direct()")
                    .formatted(path, alignment, queue.blockSize(), alignment));
        })).then();
    }

    private Mono<Long> size(FileStatus status) {
        if (status.isRegularFile()) return Mono.just(status.size());
        if (status.isBlockDevice()) return Mono.fromCallable(this::sizeBytes).subscribeOn(Schedulers.boundedElastic());
        return Mono.error(noDisk(status.isDirectory() ? A_DIRECTORY : "but something without an end; name one"));
    }

    private IllegalArgumentException noDisk(String but) {
        return new IllegalArgumentException(path + " is neither a regular file nor a block device " + but);
    }

    private static void require(boolean condition, String complaint) {
        if (!condition) throw new IllegalArgumentException(complaint);
    }

    @Override
    public String toString() {
        return "FileTarget(" + path + (direct ? ", direct" : "") + (readOnly ? ", read-only" : "") + ")";
    }
}
