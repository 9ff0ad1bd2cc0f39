package io.reactorublk.target;

import io.reactorublk.BlockQueue;
import io.reactorublk.BlockRequest;
import io.reactorublk.BlockTarget;
import io.reactorublk.Completion;
import io.reactorublk.uring.UringFile;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.reactivestreams.Publisher;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * Several files as one disk, a chunk on each in turn (RAID 0): as fast as all of them together, and lost with any of them.
 * Regular files or block devices. Immutable, and nothing is opened before it is served.
 *
 * <pre>
 *   device     | 0 | 1 | 2 | 3 | 4 | 5 | 6 |        chunks
 *   file 0     | 0 | 3 | 6 |
 *   file 1     | 1 | 4 |
 *   file 2     | 2 | 5 |
 * </pre>
 *
 * {@snippet file="io/reactorublk/Snippets.java" region="stripe"}
 *
 * <p>A request that lies on several files is done by all of them at once and completes with the last; if one fails, so does
 * the request. FLUSH reaches every file. Otherwise it is as {@link FileTarget}, also in what it refuses. The files and their
 * order must be the same each time, for nothing on them says where they belong.
 */
public final class StripeTarget implements BlockTarget {

    private static final int LEAST_CHUNK_BYTES = 512;

    private final int chunkBytes;
    private final List<DiskFile> disks;

    private StripeTarget(int chunkBytes, List<DiskFile> disks) {
        this.chunkBytes = chunkBytes;
        this.disks = disks;
    }

    /**
     * These files, read and written through the page cache.
     *
     * @param chunkBytes how much of the device lies on one file before the next one's turn: a power of two, at least the
     *     device's logical block; 64 KiB to 1 MiB are usual
     * @param paths at least two, all different
     */
    public static StripeTarget of(int chunkBytes, List<Path> paths) {
        DiskFile.require(chunkBytes >= LEAST_CHUNK_BYTES && Integer.bitCount(chunkBytes) == 1,
                "a chunk of %d bytes: powers of two from %d on are possible".formatted(chunkBytes, LEAST_CHUNK_BYTES));
        DiskFile.require(paths.size() >= 2, "%d files: a stripe needs at least two; for one there is FileTarget"
                .formatted(paths.size()));
        Set<Path> seen = new HashSet<>();
        for (Path path : paths) {
            DiskFile.require(seen.add(path.toAbsolutePath().normalize()),
                    path + " is named twice, and would overwrite itself; name each file once");
        }
        return new StripeTarget(chunkBytes, paths.stream().map(path -> new DiskFile(path, false, false)).toList());
    }

    /** Past the page cache ({@code O_DIRECT}); see {@link FileTarget#direct}. */
    public StripeTarget direct() {
        return new StripeTarget(chunkBytes, disks.stream().map(disk -> new DiskFile(disk.path(), true, disk.readOnly())).toList());
    }

    /** Opens the files for reading only: for a device that is {@link io.reactorublk.UblkServer#readOnly() readOnly()} too. */
    public StripeTarget readOnly() {
        return new StripeTarget(chunkBytes, disks.stream().map(disk -> new DiskFile(disk.path(), disk.direct(), true)).toList());
    }

    /**
     * How much fits on the files as they are now, in bytes: the whole chunks of the shortest, times their number. For
     * {@link io.reactorublk.UblkServer#size}. Asks the operating system, and blocks as long as that takes.
     *
     * @throws java.io.UncheckedIOException if it cannot tell
     * @throws IllegalArgumentException if one is a directory, or two are the same
     */
    public long sizeBytes() {
        long least = disks.stream().mapToLong(DiskFile::sizeBytes).min().orElseThrow();
        requireDifferent();
        return (least - least % chunkBytes) * disks.size();
    }

    /** Two names of one file. */
    private void requireDifferent() {
        for (DiskFile disk : disks) {
            for (DiskFile earlier : disks.subList(0, disks.indexOf(disk))) {
                try {
                    DiskFile.require(!Files.isSameFile(earlier.path(), disk.path()),
                            earlier.path() + " and " + disk.path() + " are one file; name each file once");
                } catch (IOException e) {
                    throw new UncheckedIOException("whether " + earlier.path() + " and " + disk.path() + " differ cannot be told: " + e, e);
                }
            }
        }
    }

    @Override
    public Publisher<Completion> serve(BlockQueue queue) {
        DiskFile.require(chunkBytes >= queue.blockSize(), "chunks of %d bytes hold no block of the device, which has %d; make them larger"
                .formatted(chunkBytes, queue.blockSize()));
        return Flux.usingWhen(
                openAll(queue),
                files -> queue.answer(request -> answer(files, request)),
                StripeTarget::closeAll);
    }

    private Mono<List<UringFile>> openAll(BlockQueue queue) {
        List<UringFile> opened = new ArrayList<>();
        return Flux.range(0, disks.size())
                .concatMap(i -> disks.get(i).open(queue.loop()).doOnNext(opened::add).flatMap(file -> requireFit(i, file, queue)))
                .then(Mono.just(opened))
                .onErrorResume(e -> closeAll(opened).then(Mono.error(e)));
    }

    private static Mono<Void> closeAll(List<UringFile> files) {
        return Flux.fromIterable(files).flatMapDelayError(UringFile::close, files.size(), 1).then();
    }

    private Mono<Void> requireFit(int index, UringFile file, BlockQueue queue) {
        DiskFile disk = disks.get(index);
        return file.status().flatMap(status -> disk.size(status).doOnNext(bytes -> {
            long needed = bytesBefore(queue.sizeBytes(), index);
            DiskFile.require(bytes >= needed, ("%s has %d bytes, and the device of %d needs %d of it; "
                    + "serve a device of size(sizeBytes()), or make the file longer: truncate -s %d %s")
                    .formatted(disk.path(), bytes, queue.sizeBytes(), needed, needed, disk.path()));
            disk.requireBlocks(status, queue.blockSize());
        })).then();
    }

    private Mono<Completion> answer(List<UringFile> files, BlockRequest request) {
        return switch (request.operation()) {
            case READ, WRITE -> transfer(files, request);
            case FLUSH -> request.fuse(files.stream().map(UringFile::dataSync).toList());
            case DISCARD -> request.fuse(onEachFile(files, request, UringFile::punchHole));
            case WRITE_ZEROES -> request.fuse(onEachFile(files, request,
                    (file, offset, length) -> DiskFile.zero(file, offset, length, request.isNoUnmap())));
        };
    }

    private Mono<Completion> transfer(List<UringFile> files, BlockRequest request) {
        int length = (int) request.length();
        if (request.offset() % chunkBytes + length <= chunkBytes) {
            return request.transfer(file(files, request.offset()), fileOffset(request.offset()));
        }
        List<Mono<Void>> parts = new ArrayList<>();
        int part;
        for (int from = 0; from < length; from += part) {
            long offset = request.offset() + from;
            part = (int) Math.min(chunkBytes - offset % chunkBytes, length - from);
            parts.add(request.transfer(file(files, offset), fileOffset(offset), from, part));
        }
        return request.fuse(parts);
    }

    private UringFile file(List<UringFile> files, long offset) {
        return files.get((int) (offset / chunkBytes % files.size()));
    }

    private long fileOffset(long offset) {
        return offset / chunkBytes / disks.size() * chunkBytes + offset % chunkBytes;
    }

    /** What to do with a range of a file. */
    @FunctionalInterface
    private interface RangeOperation {
        Mono<Void> on(UringFile file, long offset, long length);
    }

    /** Any range of the device is one range of each file, if anything, however many chunks it has. */
    private List<Mono<Void>> onEachFile(List<UringFile> files, BlockRequest request, RangeOperation operation) {
        List<Mono<Void>> parts = new ArrayList<>();
        for (int i = 0; i < files.size(); i++) {
            long start = bytesBefore(request.offset(), i);
            long end = bytesBefore(request.offset() + request.length(), i);
            if (start < end) parts.add(operation.on(files.get(i), start, end - start));
        }
        return parts;
    }

    /** How many of the device's bytes before this offset lie on a file. */
    private long bytesBefore(long offset, int index) {
        long row = (long) chunkBytes * disks.size();
        return offset / row * chunkBytes + Math.clamp(offset % row - (long) index * chunkBytes, 0, chunkBytes);
    }

    @Override
    public String toString() {
        return "StripeTarget(" + chunkBytes + " bytes on each of " + disks.stream().map(DiskFile::path).toList()
                + disks.getFirst().options() + ")";
    }
}
