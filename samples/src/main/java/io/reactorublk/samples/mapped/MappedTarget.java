package io.reactorublk.samples.mapped;

import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.WRITE;

import io.reactorublk.BlockQueue;
import io.reactorublk.BlockRequest;
import io.reactorublk.BlockTarget;
import io.reactorublk.Completion;
import io.reactorublk.target.FileTarget;
import io.reactorublk.uring.UringFile;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import java.util.function.IntFunction;
import org.reactivestreams.Publisher;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;
import reactor.util.Logger;
import reactor.util.Loggers;

/**
 * A volume that is larger than the file it is on. It is made of extents, which get a place in the data file when they are
 * first written, and lose it when they are discarded; a map in a second file says where each one is. What has no place reads
 * as zeroes.
 *
 * <pre>{@code
 * try (MappedTarget volume = MappedTarget.open(Path.of("data"), Path.of("map"), 1L << 40, 1 << 20)) {
 *     UblkServer.create().size(volume.sizeBytes()).blockSize(4096).fua().serve(volume)
 *             .start().flatMap(UblkDevice::onDispose).block();
 * }
 * }</pre>
 *
 * <p>If it is known where a request's extents are, it goes to the file at once, in one fused transfer; otherwise the map is
 * asked, on another thread. WRITEs are durable with the next FLUSH, data and map, also if the process is killed or the power
 * fails; FUA writes with their own completion. A WRITE that finds the data file full fails with ENOSPC. For one device at a
 * time, which must not be {@link io.reactorublk.UblkServer#writeThrough() writeThrough()}, and must not outlive its server
 * ({@link io.reactorublk.Recovery}): what nobody had flushed would be gone under those who use it.
 */
public final class MappedTarget implements BlockTarget, AutoCloseable {

    private static final Logger LOG = Loggers.getLogger(MappedTarget.class);

    private static final int LEAST_EXTENT_BYTES = 64 << 10;
    private static final int MOST_EXTENT_BYTES = 1 << 30;
    private static final int MOST_EXTENTS = 1 << 24;
    /** The longest READ of any device. */
    private static final int MOST_READ_BYTES = 32 << 20;

    /** After which the map's thread ends, until there is something to do. */
    private static final int IDLE_SECONDS = 60;

    private final Path dataFile;
    private final ExtentMap map;
    private final long sizeBytes;
    private final int extentBytes;

    /**
     * Opens a volume, or makes one. Blocks.
     *
     * @param dataFile a regular file that exists, or a block device; the map says what is in it, so the two belong together.
     *     Its file system must be able to punch holes, as ext4, XFS, Btrfs and tmpfs are
     * @param mapFile made if it is missing, and locked until {@link #close}
     * @param sizeBytes of the volume, a multiple of {@code extentBytes}. May be another each time; what lies behind the end is
     *     kept. For each extent 8 bytes of memory are needed, and at most 2²⁴ are possible
     * @param extentBytes a power of two from 64 KiB to 1 GiB, the same each time; 1 MiB is usual
     * @throws IllegalArgumentException if a number is not possible, or does not fit the map
     * @throws IllegalStateException if the map is in use
     * @throws java.io.UncheckedIOException if a file cannot be opened
     */
    public static MappedTarget open(Path dataFile, Path mapFile, long sizeBytes, int extentBytes) {
        require(extentBytes >= LEAST_EXTENT_BYTES && extentBytes <= MOST_EXTENT_BYTES && Integer.bitCount(extentBytes) == 1,
                "extents of %d bytes: powers of two from %d to %d are possible".formatted(extentBytes, LEAST_EXTENT_BYTES, MOST_EXTENT_BYTES));
        require(sizeBytes > 0 && sizeBytes % extentBytes == 0 && sizeBytes / extentBytes <= MOST_EXTENTS,
                "a volume of %d bytes: multiples of the extent (%d) up to %d are possible; larger extents allow more"
                        .formatted(sizeBytes, extentBytes, (long) MOST_EXTENTS * extentBytes));
        long physicalExtents = FileTarget.of(dataFile).sizeBytes() / extentBytes;
        require(physicalExtents > 0, "%s is shorter than one extent of %d bytes; make it longer".formatted(dataFile, extentBytes));
        ExtentStore store = MvExtentStore.open(mapFile, extentBytes);
        try {
            return new MappedTarget(dataFile, sizeBytes, extentBytes, new ExtentMap(store, (int) (sizeBytes / extentBytes),
                    (int) Math.min(physicalExtents, MOST_EXTENTS), extentBytes,
                    Schedulers.newBoundedElastic(1, Integer.MAX_VALUE, "mapped", IDLE_SECONDS, true), Schedulers.boundedElastic()));
        } catch (RuntimeException e) {
            store.close();
            throw e;
        }
    }

    MappedTarget(Path dataFile, long sizeBytes, int extentBytes, ExtentMap map) {
        this.dataFile = dataFile;
        this.sizeBytes = sizeBytes;
        this.extentBytes = extentBytes;
        this.map = map;
    }

    /** How large the volume is, in bytes: for {@link io.reactorublk.UblkServer#size}. */
    public long sizeBytes() {
        return sizeBytes;
    }

    @Override
    public Publisher<Completion> serve(BlockQueue queue) {
        require(queue.sizeBytes() <= sizeBytes, "the device has %d bytes, and the volume %d; serve a device of size(sizeBytes())"
                .formatted(queue.sizeBytes(), sizeBytes));
        return Flux.usingWhen(
                UringFile.open(queue.loop(), dataFile, READ, WRITE),
                file -> queue.answer(new Served(queue, file)::answer),
                this::end);
    }

    /** Who stops a volume loses nothing, even if nobody flushed it. */
    private Mono<Void> end(UringFile file) {
        return map.flush(file)
                .doOnError(e -> LOG.error("what was written to " + this + " since its last FLUSH may be lost", e))
                .onErrorComplete()
                .then(file.close());
    }

    /**
     * Closes the map. To be called when no device serves the volume any more.
     */
    @Override
    public void close() {
        map.close();
    }

    /** The volume as one queue sees it. */
    private final class Served {

        private final BlockQueue queue;
        private final UringFile file;
        /** Never touched, so that it takes no memory. The garbage collector frees it, when no operation knows it any more. */
        private final MemorySegment zeroes;

        Served(BlockQueue queue, UringFile file) {
            this.queue = queue;
            this.file = file;
            zeroes = queue.loop().kernel().allocate(Math.min(extentBytes, MOST_READ_BYTES), Arena.ofAuto());
        }

        Mono<Completion> answer(BlockRequest request) {
            return switch (request.operation()) {
                case READ -> request.fuse(onEachExtent(request, part -> read(request, part)));
                case WRITE -> write(request);
                case FLUSH -> map.flush(file).thenReturn(request.complete());
                case DISCARD -> request.fuse(onEachExtent(request, this::free));
                case WRITE_ZEROES -> request.fuse(onEachExtent(request, part -> request.isNoUnmap()
                        ? allocated(part, physical -> file.zeroRange(place(part, physical), part.length()))
                        : free(part)));
            };
        }

        private Mono<Void> read(BlockRequest request, Part part) {
            return known(part, physical -> transfer(request, part, physical),
                    Mono.defer(() -> request.fill((int) part.done(), zeroes.asSlice(0, part.length()))));
        }

        private Mono<Completion> write(BlockRequest request) {
            List<Mono<Void>> parts = onEachExtent(request, part -> allocated(part, physical -> transfer(request, part, physical)));
            Mono<Completion> written = request.fuse(parts);
            if (!request.isFua()) return written;
            return written.flatMap(completion -> completion.result() < 0 || areDurable(request)
                    ? Mono.just(completion)
                    : map.flush(file).thenReturn(completion));
        }

        private boolean areDurable(BlockRequest request) {
            long last = (request.offset() + request.length() - 1) / extentBytes;
            for (long extent = request.offset() / extentBytes; extent <= last; extent++) {
                if (!map.isDurable((int) extent)) return false;
            }
            return true;
        }

        private Mono<Void> transfer(BlockRequest request, Part part, int physical) {
            return request.transfer(file, place(part, physical), (int) part.done(), part.length());
        }

        private long place(Part part, int physical) {
            return (long) physical * extentBytes + part.from();
        }

        /** A whole extent loses its place; of a part of one the data file is told, and the place stays. */
        private Mono<Void> free(Part part) {
            return part.length() == extentBytes
                    ? map.giveUp(part.extent())
                    : known(part, physical -> file.punchHole(place(part, physical), part.length()), Mono.empty());
        }

        private Mono<Void> allocated(Part part, IntFunction<Mono<Void>> use) {
            return known(part, use, Mono.defer(() ->
                    map.take(part.extent(), file).publishOn(queue.loop()).then(allocated(part, use))));
        }

        /** Does one thing where the extent has a place, and another where it has none. */
        private Mono<Void> known(Part part, IntFunction<Mono<Void>> use, Mono<Void> otherwise) {
            return Mono.defer(() -> {
                int extent = part.extent();
                int physical = map.pin(extent);
                return switch (physical) {
                    case ExtentMap.UNMAPPED -> otherwise;
                    case ExtentMap.UNKNOWN -> map.lookUp(extent).publishOn(queue.loop()).then(known(part, use, otherwise));
                    case ExtentMap.LEAVING -> map.left(extent).publishOn(queue.loop()).then(known(part, use, otherwise));
                    default -> Mono.defer(() -> use.apply(physical)).doOnTerminate(() -> map.unpin(extent))
                            .cache();                                  // a cancelled transfer goes on in the kernel: pinned until its end
                };
            });
        }

        private List<Mono<Void>> onEachExtent(BlockRequest request, Function<Part, Mono<Void>> operation) {
            List<Mono<Void>> parts = new ArrayList<>();
            int length;
            for (long done = 0; done < request.length(); done += length) {
                long offset = request.offset() + done;
                int from = (int) (offset % extentBytes);
                length = (int) Math.min(extentBytes - from, request.length() - done);
                parts.add(operation.apply(new Part((int) (offset / extentBytes), from, done, length)));
            }
            return parts;
        }
    }

    /**
     * The part of a request that lies in one extent.
     *
     * @param extent the logical one
     * @param from where in the extent, in bytes
     * @param done where in the request, in bytes
     * @param length in bytes
     */
    private record Part(int extent, int from, long done, int length) {}

    private static void require(boolean condition, String complaint) {
        if (!condition) throw new IllegalArgumentException(complaint);
    }

    @Override
    public String toString() {
        return "MappedTarget(" + sizeBytes + " bytes on " + dataFile + ")";
    }
}
