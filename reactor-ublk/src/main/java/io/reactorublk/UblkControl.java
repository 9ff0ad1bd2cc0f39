package io.reactorublk;

import io.reactorublk.uring.Errno;
import io.reactorublk.uring.EventLoop;
import io.reactorublk.uring.Kernel;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.RingConfig;
import java.time.Duration;
import java.util.BitSet;
import java.util.List;
import java.util.Set;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * The ublk devices of a machine, whoever serves them: find them, look at them, resize, stop and remove them.
 *
 * {@snippet file="io/reactorublk/Snippets.java" region="control"}
 *
 * <p>Each method is a command to the driver, given when its publisher is subscribed to, and for that long only: after the
 * deadline, or when cancelled, it is taken back as far as the kernel lets go of it. Nobody ever waits on behalf of the kernel,
 * and a device that hangs holds up no command for another one. They fail with {@link KernelException}, which names command,
 * errno and what helps: ETIMEDOUT after the deadline, ENODEV if there is no such device. Results are emitted on a thread of
 * this object's own, which must not be blocked. Safe for use by many threads.
 *
 * <p>The first command starts that thread; {@link #close} ends it. Needs CAP_SYS_ADMIN, or for {@linkplain UblkServer#unprivileged
 * unprivileged} devices the permission to read and write {@code /dev/ublkcN}, which must then be in {@code /dev}.
 */
public final class UblkControl implements AutoCloseable {

    private static final Duration DEADLINE = Duration.ofSeconds(20);
    private static final RingConfig RING = new RingConfig(64, 128, true);
    /** Commands that can hang at a time without being in the way of others. */
    private static final int MAX_WORKERS = 1024;
    /** There for as long as the driver is loaded; unlike {@code /dev} it does not depend on udev or a container. */
    private static final String DEVICES = "/sys/class/ublk-char";
    private static final Pattern DEVICE = Pattern.compile("ublkc(\\d+)");

    private final Kernel kernel;
    private final Duration deadline;
    private final ControlListener listener;
    private @Nullable EventLoop loop;
    private @Nullable ControlDevice device;
    /** Devices that are served with this. */
    private int served;
    private boolean closed;

    private UblkControl(Kernel kernel, Duration deadline, ControlListener listener) {
        this.kernel = kernel;
        this.deadline = deadline;
        this.listener = listener;
    }

    /** Of this machine, with a deadline of 20 s. */
    public static UblkControl create() {
        return create(Kernel.linux(), DEADLINE);
    }

    /**
     * Of any kernel.
     *
     * @param deadline for each command
     */
    public static UblkControl create(Kernel kernel, Duration deadline) {
        return create(kernel, deadline, ControlListener.NONE);
    }

    /**
     * Of any kernel, and watched.
     *
     * @param deadline for each command
     * @param listener hears of each command
     */
    public static UblkControl create(Kernel kernel, Duration deadline, ControlListener listener) {
        if (!deadline.isPositive()) throw new IllegalArgumentException("a deadline of " + deadline + ": it must be positive");
        return new UblkControl(kernel, deadline, listener);
    }

    // ------------------------------------------------------------------------------------------- looking

    /** What the driver of this kernel can do. */
    public Mono<Set<Feature>> features() {
        return command(ControlDevice::features).map(Feature::of);
    }

    /**
     * All devices that this process may look at, by number. Never waits for one of them; one that goes away meanwhile is left
     * out.
     */
    public Flux<DeviceStatus> list() {
        return Flux.defer(() -> {
            ControlDevice control = device();
            return Flux.fromIterable(ids()).concatMap(id -> control.status(id).onErrorResume(UblkControl::isNotForUs, e -> Mono.empty()));
        });
    }

    /** Gone, another user's, or without a node in this {@code /dev}. */
    private static boolean isNotForUs(Throwable e) {
        return e instanceof KernelException refusal && switch (refusal.errno()) {
            case ENODEV, EPERM, EACCES, ENOENT -> true;
            default -> false;
        };
    }

    private List<Integer> ids() {
        return kernel.list(DEVICES).stream().map(DEVICE::matcher).filter(Matcher::matches)
                .map(name -> Integer.valueOf(name.group(1))).sorted().toList();
    }

    /** What the driver knows of a device. Never waits for it. */
    public Mono<DeviceStatus> inspect(int id) {
        return command(control -> control.status(id));
    }

    /** What a device is like for applications. Waits while it is being stopped. */
    public Mono<DeviceParameters> parameters(int id) {
        return command(id, control -> control.params(id));
    }

    /** The CPUs whose requests go to this queue of a device. */
    public Mono<BitSet> affinity(int id, int queue) {
        return command(id, control -> control.affinity(id, queue));
    }

    /**
     * All devices, now and each time one of them has changed. The driver tells nobody of changes, so it is asked again and
     * again; what comes and goes in between is not seen. Ends with the first error.
     *
     * @param interval between two looks
     */
    public Flux<List<DeviceStatus>> watch(Duration interval) {
        return Flux.defer(() -> {
            device();
            return Flux.interval(Duration.ZERO, interval, java.util.Objects.requireNonNull(loop)).onBackpressureDrop()
                    .concatMap(tick -> list().collectList(), 1)
                    .distinctUntilChanged();
        });
    }

    // ------------------------------------------------------------------------------------------- changing

    /**
     * Changes the size of a device that is in use. Applications see the new size at once; of requests beyond a smaller end
     * some may still be under way. The server is not told; its target must have what a larger device promises <em>before</em>
     * this is called. A server that resizes its own device uses {@link UblkDevice#resize}.
     *
     * @param bytes a positive multiple of the device's block size, else {@link IllegalArgumentException}
     */
    public Mono<Void> resize(int id, long bytes) {
        return command(id, control -> control.params(id).flatMap(is -> {
            requireBlocks(bytes, is.blockSize());
            return control.updateSize(id, bytes);
        }));
    }

    static void requireBlocks(long bytes, int blockSize) {
        if (bytes > 0 && bytes % blockSize == 0) return;
        throw new IllegalArgumentException("a device of %d bytes: positive multiples of its block size, %d, are possible"
                .formatted(bytes, blockSize));
    }

    /**
     * Stops a device for ever: its block device goes, once every request under way is answered. What waits for a server
     * that died fails with EIO. Its server learns of it when it next asks for requests, which it does all the time unless its target
     * has no demand; a server of this project then ends, and removes the device.
     *
     * <p>ETIMEDOUT means that a server does not answer what it has been asked. The device stops when it does, or dies.
     */
    public Mono<Void> stop(int id) {
        return command(id, control -> control.stopOthers(id));
    }

    /**
     * Stops a device unless somebody has it open, be it for a moment: udev does after each change.
     *
     * @return whether it was stopped; fails with ENODEV if it has no block device
     */
    public Mono<Boolean> stopIfUnused(int id) {
        return command(id, control -> control.tryStop(id).then(control.stopOthers(id).onErrorComplete()).thenReturn(true))
                .onErrorResume(e -> e instanceof KernelException refusal && refusal.errno() == Errno.EBUSY, e -> Mono.just(false));
    }

    /**
     * Stops a device and removes all of it; its number is free when this completes. Also for what a dead server left behind,
     * and for a device that was never started.
     *
     * <p>Stopped it is first, because the driver removes one device at a time on the whole machine: one that cannot be stopped
     * would be in the way of all others. ETIMEDOUT from {@code DEL_DEV} means that it is gone but for a number that somebody
     * keeps in use who has it open.
     */
    public Mono<Void> remove(int id) {
        return command(id, control -> control.stopOthers(id)
                .then(control.delete(id).onErrorResume(DeviceLifecycle::isGone, e -> Mono.empty())));   // its server was quicker
    }

    // ------------------------------------------------------------------------------------------- life

    Kernel kernel() {
        return kernel;
    }

    /** For a device that is served with this, until it {@linkplain #leave leaves}. */
    synchronized EventLoop join() {
        device();
        served++;
        return java.util.Objects.requireNonNull(loop);
    }

    synchronized void leave() {
        served--;
    }

    /** The same open file, with another deadline, and told to another. */
    ControlDevice device(Duration otherDeadline, ControlListener otherListener) {
        return device().with(otherDeadline, otherListener);
    }

    private <T> Mono<T> command(Function<ControlDevice, Mono<T>> command) {
        return Mono.defer(() -> command.apply(device()));
    }

    /** To a device: as it wants to be addressed. */
    private <T> Mono<T> command(int id, Function<ControlDevice, Mono<T>> command) {
        return command(control -> control.status(id).flatMap(status -> command.apply(control.of(status))));
    }

    private synchronized ControlDevice device() {
        if (closed) throw new IllegalStateException("this control plane is closed");
        if (device != null) {
            if (!java.util.Objects.requireNonNull(loop).isDisposed()) return device;
            device.close();                                            // its loop has died; the next one may live
            device = null;
        }
        EventLoop started = EventLoop.start(kernel, "ublk-control", RING);
        try {
            device = new ControlDevice(started, deadline, listener);
        } catch (RuntimeException e) {
            started.dispose();
            throw e;
        }
        started.execute(() -> started.ring().maxWorkers(MAX_WORKERS));
        loop = started;
        return device;
    }

    /**
     * Takes back what is under way and ends the thread. Returns at once; commands that the kernel does not let go of keep the
     * thread until they are done.
     *
     * @throws IllegalStateException if devices are still {@linkplain UblkServer#control served} with it
     */
    @Override
    public synchronized void close() {
        if (closed) return;
        if (served > 0) throw new IllegalStateException(served + " devices are served with this control plane; dispose them first");
        closed = true;
        EventLoop ending = loop;
        ControlDevice open = device;
        if (ending != null && open != null) ending.disposeGracefully().doOnTerminate(open::close).subscribe(nothing -> {}, e -> {});
    }
}
