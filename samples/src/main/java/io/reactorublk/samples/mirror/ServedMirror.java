package io.reactorublk.samples.mirror;

import io.reactorublk.UblkDevice;
import io.reactorublk.UblkServer;
import java.time.Duration;
import java.util.Objects;

/** A mirror in service: an open set and the device on it. Closing ends the device first, and then the set. */
final class ServedMirror implements AutoCloseable {

    /** The largest sector a disk below can have, so that every request can go past the page cache. */
    private static final int BLOCK_BYTES = 4096;

    /** How to serve. */
    record Settings(int queues, int depth, Duration replicaTimeout, boolean direct) {}

    private final OpenSet open;
    private final UblkDevice device;

    static ServedMirror start(Assembly assembly, Settings settings, Faults faults, Traffic traffic) {
        OpenSet open = OpenSet.open(assembly, settings.replicaTimeout, settings.direct, faults);
        try {
            UblkDevice device = UblkServer.create()
                    .blockSize(BLOCK_BYTES)
                    .size(assembly.header().dataBytes())
                    .queues(settings.queues).queueDepth(settings.depth)
                    .fua()
                    .listener(traffic)
                    .serve(open.target(settings.replicaTimeout))
                    .start()
                    .block();
            return new ServedMirror(open, Objects.requireNonNull(device));
        } catch (RuntimeException e) {
            open.close();
            throw e;
        }
    }

    private ServedMirror(OpenSet open, UblkDevice device) {
        this.open = open;
        this.device = device;
    }

    UblkDevice device() {
        return device;
    }

    MirrorSet set() {
        return open.set();
    }

    @Override
    public void close() {
        boolean interrupted = Thread.interrupted();                    // why we end; the end itself must not be interrupted
        try {
            device.disposeLater().block();
        } finally {
            open.close();
            if (interrupted) Thread.currentThread().interrupt();
        }
    }
}
