package io.reactorublk.samples.mirror;

import io.reactorublk.UblkDevice;
import io.reactorublk.UblkServer;
import io.reactorublk.uring.Kernel;
import java.time.Duration;
import java.util.Objects;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** A mirror in service: an open set and the device on it. Closing ends the device first, and then the set. */
final class ServedMirror implements AutoCloseable {

    /** The largest sector a disk below can have, so that every request can go past the page cache. */
    private static final int BLOCK_BYTES = 4096;

    /** How to serve. */
    record Settings(int queues, int depth, Duration replicaTimeout, boolean direct) {}

    private final OpenSet open;
    private final UblkDevice device;
    private final ReplicaLocks locks;

    /**
     * Serves it on this machine. By a thread that may block.
     *
     * @param server what it shall do beside serving a mirror
     */
    static ServedMirror start(UblkServer server, Assembly assembly, Settings settings, Faults faults) {
        ReplicaLocks locks = ReplicaLocks.of(assembly.files());
        try {
            return Objects.requireNonNull(serve(Kernel.linux(), server, assembly, settings, faults, locks).block());
        } catch (RuntimeException e) {
            locks.close();
            throw e;
        }
    }

    /**
     * Serves it.
     *
     * @param server what it shall do beside serving a mirror
     * @param locks dropped when the mirror has {@linkplain #stop ended}, but not if it fails to start
     */
    static Mono<ServedMirror> serve(Kernel kernel, UblkServer server, Assembly assembly, Settings settings, Faults faults,
            ReplicaLocks locks) {
        return Mono.usingWhen(
                OpenSet.open(kernel, assembly, settings.replicaTimeout, settings.direct, faults),
                open -> server.kernel(kernel)
                        .blockSize(BLOCK_BYTES)
                        .size(assembly.header().dataBytes())
                        .queues(settings.queues).queueDepth(settings.depth)
                        .fua()
                        .serve(open.target(settings.replicaTimeout))
                        .start()
                        .map(device -> new ServedMirror(open, device, locks)),
                open -> Mono.empty(),
                (open, e) -> open.close(),
                OpenSet::abandon);                                     // its device may not have ended yet
    }

    private ServedMirror(OpenSet open, UblkDevice device, ReplicaLocks locks) {
        this.open = open;
        this.device = device;
        this.locks = locks;
    }

    UblkDevice device() {
        return device;
    }

    MirrorSet set() {
        return open.set();
    }

    /** Ends the device, and then the set, whatever the device died of. */
    Mono<Void> stop() {
        return Flux.concatDelayError(device.disposeLater(), open.close()).then().doFinally(end -> locks.close());
    }

    @Override
    public void close() {
        boolean interrupted = Thread.interrupted();                    // why we end; the end itself must not be interrupted
        try {
            stop().block();
        } finally {
            if (interrupted) Thread.currentThread().interrupt();
        }
    }
}
