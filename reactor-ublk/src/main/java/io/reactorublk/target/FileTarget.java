package io.reactorublk.target;

import io.reactorublk.BlockQueue;
import io.reactorublk.BlockRequest;
import io.reactorublk.BlockTarget;
import io.reactorublk.Completion;
import io.reactorublk.uring.UringFile;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import org.reactivestreams.Publisher;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

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

    private final DiskFile disk;

    private FileTarget(DiskFile disk) {
        this.disk = disk;
    }

    /** This file, read and written through the page cache. */
    public static FileTarget of(Path path) {
        return new FileTarget(new DiskFile(path, false, false));
    }

    /**
     * Past the page cache ({@code O_DIRECT}), so that data is not cached twice: once for the device and once for the file.
     * The device's blocks must then be no smaller than what the file's disk can write.
     */
    public FileTarget direct() {
        return new FileTarget(new DiskFile(disk.path(), true, disk.readOnly()));
    }

    /** Opens the file for reading only: for a device that is {@link io.reactorublk.UblkServer#readOnly() readOnly()} too. */
    public FileTarget readOnly() {
        return new FileTarget(new DiskFile(disk.path(), disk.direct(), true));
    }

    /**
     * How large the file is now, in bytes: for {@link io.reactorublk.UblkServer#size}. Asks the operating system, and blocks
     * as long as that takes.
     *
     * @throws UncheckedIOException if it cannot tell
     * @throws IllegalArgumentException if it is a directory
     */
    public long sizeBytes() {
        return disk.sizeBytes();
    }

    @Override
    public Publisher<Completion> serve(BlockQueue queue) {
        return Flux.usingWhen(
                disk.open(queue.loop()),
                file -> requireFit(file, queue).thenMany(queue.answer(request -> answer(file, request))),
                UringFile::close);
    }

    private static Mono<Completion> answer(UringFile file, BlockRequest request) {
        return switch (request.operation()) {
            case READ, WRITE -> request.transfer(file, request.offset());
            case FLUSH -> file.dataSync().thenReturn(request.complete());
            case DISCARD -> file.punchHole(request.offset(), request.length()).thenReturn(request.complete());
            case WRITE_ZEROES -> DiskFile.zero(file, request.offset(), request.length(), request.isNoUnmap())
                    .thenReturn(request.complete());
        };
    }

    /** Now, with words, rather than later, with an error for each request. */
    private Mono<Void> requireFit(UringFile file, BlockQueue queue) {
        return file.status().flatMap(status -> disk.size(status).doOnNext(bytes -> {
            DiskFile.require(bytes >= queue.sizeBytes(), ("%s has %d bytes, less than the device, which has %d; "
                    + "serve a device of size(%d), or make the file longer: truncate -s %d %s").formatted(disk.path(), bytes,
                    queue.sizeBytes(), bytes - bytes % queue.blockSize(), queue.sizeBytes(), disk.path()));
            disk.requireBlocks(status, queue.blockSize());
        })).then();
    }

    @Override
    public String toString() {
        return "FileTarget(" + disk.path() + disk.options() + ")";
    }
}
