package io.reactorublk;

import java.nio.file.Path;
import reactor.core.Disposable;
import reactor.core.publisher.Mono;

/**
 * A running device. Ends by {@link #dispose}, or by itself if a queue of it fails; if the process ends without either, the
 * kernel gives EIO to what was in flight and takes the block device away.
 */
public final class UblkDevice implements Disposable {

    private final DeviceLifecycle lifecycle;

    UblkDevice(DeviceLifecycle lifecycle) {
        this.lifecycle = lifecycle;
    }

    /** N of {@code /dev/ublkbN}. */
    public int id() {
        return lifecycle.info().id();
    }

    /** The block device, {@code /dev/ublkbN}. */
    public Path path() {
        return Path.of("/dev/ublkb" + id());
    }

    /** How many hardware queues it has. */
    public int queues() {
        return lifecycle.info().queues();
    }

    /** How many requests can be in flight on each. */
    public int queueDepth() {
        return lifecycle.info().queueDepth();
    }

    /**
     * Starts to remove the device: it stops, which waits for every request to be answered, its queues complete, its targets
     * end, and nothing of it is left. Applications that still use it get errors. Returns at once.
     */
    @Override
    public void dispose() {
        disposeLater().subscribe(nothing -> {}, e -> {});
    }

    /** Does what {@link #dispose} does, and completes when it is done. Must not be waited for on a loop. */
    public Mono<Void> disposeLater() {
        return lifecycle.dispose();
    }

    /** Completes when the device is gone, whoever caused it; with an error if a queue of it failed. */
    public Mono<Void> onDispose() {
        return lifecycle.whenDisposed();
    }

    @Override
    public boolean isDisposed() {
        return lifecycle.isDisposed();
    }

    @Override
    public String toString() {
        return path().toString();
    }
}
