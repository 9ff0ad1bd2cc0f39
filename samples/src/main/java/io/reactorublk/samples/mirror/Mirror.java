package io.reactorublk.samples.mirror;

import io.reactorublk.BlockTarget;
import io.reactorublk.uring.Kernel;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.OptionalInt;
import reactor.core.publisher.Mono;

/**
 * A mirror for whoever serves it: assembled, its files locked, made equal if they were not closed, and marked as open until
 * this is closed. All methods are for threads that may block.
 */
public final class Mirror implements AutoCloseable {

    private static final Duration LIMIT = Duration.ofSeconds(30);

    private final Assembly assembly;
    private final ReplicaLocks locks;
    private final OpenSet open;

    private Mirror(Assembly assembly, ReplicaLocks locks, OpenSet open) {
        this.assembly = assembly;
        this.locks = locks;
        this.open = open;
    }

    /**
     * Makes new replicas, of which nothing may be there yet.
     *
     * @param sizeBytes of the device, a multiple of 4096
     * @param quorum how many replicas must have a write before it is acknowledged
     * @throws MirrorException if something is there, or the numbers do not fit
     */
    public static void create(List<Path> paths, long sizeBytes, int quorum) {
        if (sizeBytes <= 0 || sizeBytes % 4096 != 0) {
            throw new MirrorException("a device of " + sizeBytes + " bytes: it must be a positive multiple of its block size, 4096");
        }
        ReplicaFile.create(paths, sizeBytes, quorum, false);
    }

    /**
     * Opens replicas.
     *
     * @param quorum a new one, or empty for that of the set
     * @param degraded whether to go on although replicas that may know more are missing
     * @param direct whether the data goes past the page cache
     * @throws MirrorException saying what was found, if these cannot be served together
     */
    public static Mirror open(List<Path> paths, OptionalInt quorum, boolean degraded, boolean direct) {
        Assembly assembly = Assembly.of(paths.stream().map(ReplicaFile::read).toList(), quorum, degraded);
        ReplicaLocks locks = ReplicaLocks.of(assembly.files());
        try {
            Mono<OpenSet> opening = OpenSet.open(Kernel.linux(), assembly, LIMIT, direct, new Faults());
            return new Mirror(assembly, locks, Objects.requireNonNull(opening.block()));
        } catch (RuntimeException e) {
            locks.close();
            throw e;
        }
    }

    /** What somebody should know, such as which replica is left out. */
    public List<String> remarks() {
        return assembly.remarks();
    }

    /** How large it is, in bytes. */
    public long sizeBytes() {
        return assembly.header().dataBytes();
    }

    /** What serves it, for one device at a time. A replica that is 30 s slower than another leaves. */
    public BlockTarget target() {
        return open.target(LIMIT);
    }

    /** Marks it as closed, if its replicas are equal, and gives everything back. Its device must be gone. */
    @Override
    public void close() {
        open.close().doFinally(end -> locks.close()).block();
    }
}
