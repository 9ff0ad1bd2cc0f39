package io.reactorublk;

import java.nio.file.Path;
import reactor.core.Disposable;
import reactor.core.publisher.Mono;

/**
 * A running device. Ends by {@link #dispose}, or by itself if a queue of it fails or somebody else has stopped it; what
 * becomes of it if the process ends without that, its {@link Recovery} says.
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
     * Shares memory with applications: requests whose bytes are in it need no copy. Waits for the requests in flight, since the
     * driver stops the device for a moment; must not be waited for on a loop.
     *
     * <p>The driver holds the memory until {@link #unshare} or until the device is gone, even if this process ends before. The
     * next server of a device takes it back, and shares anew; a request in it that was under way when its server died fails.
     *
     * @return fails with {@link io.reactorublk.uring.KernelException}: {@code EOPNOTSUPP} on a device that was not made for
     *     {@link UblkServer#sharedMemory}, {@code EEXIST} if it is shared already, {@code ENOMEM} if that much cannot be held
     */
    public Mono<Void> share(SharedMemory memory) {
        return lifecycle.share(memory);
    }

    /** Lets go of memory that was {@linkplain #share shared}. Its applications' requests are copied from then on. */
    public Mono<Void> unshare(SharedMemory memory) {
        return lifecycle.unshare(memory);
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

    /**
     * Leaves the device to another server, without an error for those who use it: they see a pause. The target gets nothing new;
     * when it has answered all it has, its queues complete, it ends, and everything of it is closed. What was asked meanwhile
     * waits in the kernel, not executed. Memory that is {@linkplain #share shared} is taken back. When this completes the device waits for {@link UblkServer#recover}, by this process
     * or by another: tell it then. This object is disposed.
     *
     * <p>Fails with {@link IllegalStateException} unless the device has {@link Recovery#REISSUE}, and with {@link
     * java.util.concurrent.TimeoutException} if the target has not answered within the server's
     * {@linkplain UblkServer#stopGrace grace}: then everything goes on as if nothing had been asked. Cancelling stops nothing.
     * Must not be waited for on a loop.
     */
    public Mono<Void> handOver() {
        return lifecycle.handOver();
    }

    /**
     * Changes the size while the device is in use. The target must have what a larger device promises before this is called; it
     * learns of the new size by {@link BlockQueue#sizeBytes()}.
     *
     * @param bytes a positive multiple of the block size, else {@link IllegalArgumentException}
     */
    public Mono<Void> resize(long bytes) {
        return lifecycle.resize(bytes);
    }

    /** Completes when the device is gone, or handed over, whoever caused it; with an error if a queue of it failed. */
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
