package io.reactorublk;

import io.reactorublk.uring.Errno;
import io.reactorublk.uring.EventLoop;
import io.reactorublk.uring.Kernel;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.RingConfig;
import io.reactorublk.uring.abi.linux_h;
import java.lang.foreign.Arena;
import java.time.Duration;
import java.util.Objects;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.util.Logger;
import reactor.util.Loggers;

/**
 * The life of one device: {@link LifecycleSteps}. Starting walks them; one that fails, and the end of the device, walk back over
 * those that were done. All on the control loop.
 */
final class DeviceLifecycle {

    private static final Logger LOG = Loggers.getLogger(DeviceLifecycle.class);
    private static final RingConfig CONTROL_RING = new RingConfig(16, 32, true);
    private static final int RELEASE_PERSISTENCE = 50;
    private static final Duration RELEASE_PAUSE = Duration.ofMillis(20);
    private static final Duration RELEASE_POLL = Duration.ofMillis(1);
    /** How long a device that has stopped may stay open before its end is told all the same. */
    private static final Duration APPLICATIONS_PATIENCE = Duration.ofSeconds(2);

    /** Numbers that the driver has for shared memory. */
    private static final int MAX_SHARED = 1 << 16;

    /** What becomes of who waits for the device to start. */
    private enum Wish { WAITING, DELIVERING, DELIVERED, CANCELLED }

    private final Kernel kernel;
    private final BlockTarget target;
    private final AtomicBoolean disposed = new AtomicBoolean();
    private final AtomicBoolean handingOver = new AtomicBoolean();
    private final Sinks.Empty<Void> whenDisposed = Sinks.empty();
    private final Arena memory = Arena.ofShared();
    private final SharedBuffers.Registered shared = new SharedBuffers.Registered(this::forget);

    private final EventLoop controlLoop;
    private final LifecycleSteps steps;
    private final Disposable controlWatch;
    private @Nullable ControlDevice control;
    private volatile ServerConfig config;
    private volatile DeviceInfo info;
    private int charDevice = -1;
    private @Nullable DeviceQueues queues;
    private final AtomicReference<Wish> wish = new AtomicReference<>(Wish.WAITING);
    private volatile @Nullable Thread deliverer;
    /** Whether the device outlives us: it is not ours yet, or no longer. */
    private volatile boolean leaving;
    /** Whether another server had it before us. */
    private boolean recovered;
    private Mono<Void> stopping = Mono.empty();
    private boolean stopped;
    private boolean stuck;
    private @Nullable Throwable failure;

    private DeviceLifecycle(Kernel kernel, ServerConfig config, BlockTarget target) {
        this.kernel = kernel;
        this.config = config;
        this.target = target;
        info = new DeviceInfo(config.id, config.queues, config.queueDepth, config.maxIoBytes, flags(config));
        controlLoop = config.control == null ? EventLoop.start(kernel, "ublk-control", CONTROL_RING) : config.control.join();
        controlWatch = controlLoop.onDispose().subscribe(nothing -> {}, this::endWithoutControl);
        steps = new LifecycleSteps(this, controlLoop);
        steps.add("control device", this::openControl, this::closeControl);
    }

    private static long flags(ServerConfig config) {
        return Feature.BATCH_IO.flag() | config.dataMode.flags() | config.recovery.flags()
                | (config.sharedMemory ? Feature.SHMEM_ZC.flag() : 0)
                | (config.partitionScan ? 0 : Feature.NO_AUTO_PART_SCAN.flag())
                | (config.unprivileged ? Feature.UNPRIVILEGED_DEV.flag() : 0);
    }

    /** A new device. */
    static Mono<UblkDevice> start(Kernel kernel, ServerConfig config, BlockTarget target) {
        DeviceQueues.requireRoom(config);
        DeviceLifecycle life = new DeviceLifecycle(kernel, config, target);
        life.steps.add("features", life::requireFeatures, Mono::empty);
        life.steps.add("add", life::addDevice, life::deleteDevice);
        life.steps.add("character device", life::openCharDevice, life::closeCharDevice);
        life.steps.add("parameters", life::setParameters, Mono::empty);
        life.steps.add("queues", () -> life.addQueues("start", life::startDevice), Mono::empty);
        return life.begin();
    }

    /** A device that another server left. */
    static Mono<UblkDevice> recover(Kernel kernel, ServerConfig config, BlockTarget target, int id) {
        DeviceLifecycle life = new DeviceLifecycle(kernel, config, target);
        life.leaving = true;
        life.recovered = true;
        life.steps.add("recovery", () -> life.adoptDevice(id), life::deleteDevice);
        life.steps.add("character device", life::openCharDevice, life::closeCharDevice);
        life.steps.add("queues", () -> life.addQueues("end of the recovery", life::endRecovery), Mono::empty);
        return life.begin();
    }

    /** The steps of which it is known only now how many there are. */
    private Mono<Void> addQueues(String name, Supplier<Mono<Void>> goLive) {
        return Mono.fromRunnable(() -> {
            DeviceQueues opened = new DeviceQueues(kernel, config, target, control(), info, recovered, charDevice, memory, shared);
            queues = opened;
            opened.addTo(steps);
            steps.add(name, goLive, this::stopDevice);
        });
    }

    private DeviceQueues queues() {
        return Objects.requireNonNull(queues);
    }

    // ------------------------------------------------------------------------------------------- up and down

    /** Walks all steps. Cancelling lets the step at hand end, and walks back. */
    private Mono<UblkDevice> begin() {
        boolean wasThere = leaving;
        return Mono.<UblkDevice>create(sink -> {
            UblkDevice device = new UblkDevice(this);
            whenDisposed.asMono().subscribe(nothing -> {}, e -> {
                if (wish.get() == Wish.WAITING) sink.error(e);
            });
            up().subscribe(nothing -> {}, e -> {
                if (isWanted()) sink.error(e);
            }, () -> {
                watchQueues();
                deliverer = Thread.currentThread();
                if (wish.compareAndSet(Wish.WAITING, Wish.DELIVERING)) sink.success(device);
                if (!wish.compareAndSet(Wish.DELIVERING, Wish.DELIVERED)) discard(wasThere);
            });
        }).doOnCancel(this::cancelled);
    }

    /**
     * Who cancels while he is just being given the device has not got it, unless he does so because he has it: then he is called
     * by us. A cancellation after that means nothing, as many operators cancel what has completed.
     */
    private void cancelled() {
        if (wish.compareAndSet(Wish.WAITING, Wish.CANCELLED)) return;
        if (deliverer != Thread.currentThread()) wish.compareAndSet(Wish.DELIVERING, Wish.CANCELLED);
    }

    private boolean isWanted() {
        return wish.get() != Wish.CANCELLED;
    }

    /** As if nothing had been asked: without the device, or with one that can be recovered. */
    private void discard(boolean wasThere) {
        leaving = wasThere;
        dispose().subscribe(nothing -> {}, ignored -> {});
    }

    private Mono<Void> up() {
        return steps.up(this::isWanted)
                .subscribeOn(controlLoop)
                .onErrorResume(e -> down().then(Mono.error(e)));
    }

    private Mono<Void> down() {
        return steps.down()
                .then(Mono.defer(this::leaveControlLoop))
                .then(Mono.fromRunnable(this::freeMemory));
    }

    private Mono<Void> leaveControlLoop() {
        controlWatch.dispose();
        UblkControl others = config.control;
        return others == null ? controlLoop.disposeGracefully() : Mono.fromRunnable(others::leave);
    }

    /** Not if the device could not be deleted: then the kernel may still write to it. */
    private void freeMemory() {
        if (!stuck && (queues == null || !queues.isStuck())) memory.close();
    }

    /** The end. Whoever comes first causes it, everybody learns of it. */
    Mono<Void> dispose() {
        return Mono.defer(() -> {
            if (disposed.compareAndSet(false, true)) end();
            return whenDisposed.asMono();
        });
    }

    private void end() {
        down().subscribeOn(controlLoop).subscribe(nothing -> {}, whenDisposed::tryEmitError, () -> {
            if (failure == null) {
                whenDisposed.tryEmitEmpty();
            } else {
                whenDisposed.tryEmitError(failure);
            }
        });
    }

    /** Lets the targets finish, then ends as if the process had died. Not stopped by who no longer waits for it. */
    Mono<Void> handOver() {
        return Mono.defer(() -> {
            if (config.recovery != Recovery.REISSUE) {
                return Mono.error(new IllegalStateException(this + " was made with Recovery." + config.recovery
                        + "; it can be handed over only with REISSUE, or what comes meanwhile would fail"));
            }
            if (!handingOver.compareAndSet(false, true)) {
                return Mono.error(new IllegalStateException(this + " is being handed over already"));
            }
            Mono<Void> left = Flux.fromIterable(shared.all()).concatMap(this::unshare)
                    .then(Mono.defer(queues()::hold))
                    .timeout(config.stopGrace, controlLoop)
                    .onErrorMap(TimeoutException.class, e -> new TimeoutException("the target of " + this
                            + " has not answered everything within " + config.stopGrace + "; it goes on"))
                    .onErrorResume(e -> resume().then(Mono.error(e)))
                    .publishOn(controlLoop)
                    .then(Mono.defer(this::leave))
                    .doOnError(e -> handingOver.set(false))
                    .cache();
            left.subscribe(nothing -> {}, e -> {});
            return left;
        });
    }

    private Mono<Void> leave() {
        if (!disposed.compareAndSet(false, true)) {
            return Mono.error(new IllegalStateException(this + " was disposed meanwhile"));
        }
        leaving = true;
        end();
        return whenDisposed.asMono();
    }

    private Mono<Void> resume() {
        return queues().onEach(UblkQueue::resume);
    }

    Mono<Void> resize(long bytes) {
        return Mono.<Void>defer(() -> {
            if (disposed.get()) throw new IllegalStateException(this + " is disposed");
            UblkControl.requireBlocks(bytes, config.blockSize);
            long before = config.sizeBytes;
            Mono<Void> change = control().updateSize(info.id(), bytes);
            return bytes < before ? change.then(tell(bytes))
                    : tell(bytes).then(change).onErrorResume(e -> tell(before).then(Mono.error(e)));
        }).subscribeOn(controlLoop);
    }

    private Mono<Void> tell(long bytes) {
        return Mono.fromRunnable(() -> {
            config.sizeBytes = bytes;
            queues().resized(bytes);
        });
    }

    Mono<Void> whenDisposed() {
        return whenDisposed.asMono();
    }

    boolean isDisposed() {
        return disposed.get();
    }

    DeviceInfo info() {
        return info;
    }

    /**
     * A queue that failed, or whose loop has died, can answer nothing more, so the device is ended at once; the driver gives
     * EIO to what it held. So it is if somebody else has stopped it: nothing is left to serve.
     */
    private void watchQueues() {
        queues().whenStopped().publishOn(controlLoop).subscribe(nothing -> {}, e -> {},
                () -> dispose().subscribe(nothing -> {}, ignored -> {}));
        queues().whenFailed().publishOn(controlLoop).subscribe(nothing -> {}, this::fail);
    }

    private void fail(Throwable e) {
        failure = e;
        dispose().subscribe(nothing -> {}, ignored -> {});
    }

    /**
     * The control loop has died, and no step will ever be walked again. So that nobody waits for ever the queues' loops end,
     * and with them and the character device the driver ends the disk, as for a server that has died. On the dying loop.
     */
    private void endWithoutControl(Throwable cause) {
        disposed.set(true);
        LOG.error("the control loop of {} has died, and the device ends as if this process had: \"reactor-ublk remove {}\"", this, info.id(), cause);
        (queues == null ? Mono.<Void>empty() : queues.abandon())
                .doFinally(end -> {
                    closeCharDevice();
                    if (config.control != null) config.control.leave();
                    whenDisposed.tryEmitError(cause);
                })
                .subscribe(nothing -> {}, alsoDead -> {});
    }

    Mono<Void> share(SharedMemory memory) {
        return Mono.defer(() -> {
            shared.expect();
            return control().register(info.id(), memory.memory())
                    .doOnNext(index -> shared.add(index, memory))
                    .doFinally(end -> shared.arrived())
                    .then();
        });
    }

    Mono<Void> unshare(SharedMemory memory) {
        return Mono.defer(() -> {
            Integer index = shared.indexOf(memory);
            if (index == null) return Mono.error(new IllegalArgumentException(memory + " is not shared by " + this));
            return control().unregister(info.id(), index).doOnSuccess(nothing -> shared.remove(index, memory));
        });
    }

    /** Takes back what we do not know. The requests that came from it before have failed. */
    private void forget(int index) {
        LOG.warn("requests for {} come from memory that is shared under number {}, which this server does not know; they fail, "
                + "and it is taken back", this, index);
        control().unregister(info.id(), index)
                .onErrorResume(e -> isErrno(e, Errno.ENOENT), e -> Mono.empty())
                .doFinally(end -> shared.forgotten(index))
                .subscribe(nothing -> {}, e -> LOG.warn("the memory under number " + index + " was not taken back", e));
    }

    /**
     * The driver holds the memory of a server that has died, and names requests in it by numbers which mean nothing to us.
     * It gives the lowest that is free, so they follow one another, or nearly: see {@link #forget}.
     */
    private Mono<Void> forgetShared() {
        if (!Feature.of(info.flags()).contains(Feature.SHMEM_ZC)) return Mono.empty();
        return Flux.range(0, MAX_SHARED)
                .concatMap(index -> control().unregister(info.id(), index), 0)
                .then()
                .onErrorResume(e -> isErrno(e, Errno.ENOENT), e -> Mono.empty())
                .onErrorResume(KernelException.class, e -> {
                    LOG.warn("the memory that the last server of " + this + " has shared was not taken back; going on", e);
                    return Mono.empty();
                });
    }

    // ------------------------------------------------------------------------------------------- the steps

    private Mono<Void> openControl() {
        control = config.control == null ? new ControlDevice(controlLoop, config.controlDeadline, config.controlListener)
                : config.control.device(config.controlDeadline, config.controlListener);
        return Mono.empty();
    }

    private ControlDevice control() {
        return Objects.requireNonNull(control);
    }

    private Mono<Void> closeControl() {
        if (config.control == null) control().close();
        return Mono.empty();
    }

    private Mono<Void> requireFeatures() {
        return control().features()
                .doOnNext(offered -> Feature.requireAll(info.flags(), offered, System.getProperty("os.version")))
                .then();
    }

    /** Looks before it asks, so that the device is left as it is if we cannot serve it. */
    private Mono<Void> adoptDevice(int id) {
        Mono<DeviceStatus> recoverable = control().status(id).doOnNext(status -> {
            requireServable(status, config);
            requireStarted(status);
        });
        return recoverable.zipWhen(status -> control().params(id)).doOnNext(is -> {
            info = DeviceInfo.of(is.getT1());
            config = config.of(is.getT1(), is.getT2());
            DeviceQueues.requireRoom(config);
        }).then(Mono.defer(() -> control().startRecovery(id)));
    }

    /** What the driver would not tell before it is too late. */
    static void requireServable(DeviceStatus status, ServerConfig config) {
        if (!status.features().contains(Feature.BATCH_IO)) {
            throw new IllegalArgumentException(status.path() + " was made by a server that does not use UBLK_F_BATCH_IO");
        }
        if (!config.dataMode.fits(status.features())) {
            throw new IllegalArgumentException("%s was made with %s, which does not fit this server's DataMode.%s"
                    .formatted(status.path(), status.features(), config.dataMode));
        }
    }

    /** Of what never came to life, or was stopped, START_USER_RECOVERY says EBUSY for ever, as of what a server still has. */
    private static void requireStarted(DeviceStatus status) {
        if (status.state() != DeviceStatus.State.DEAD || status.recovery() == Recovery.NONE) return;
        throw new KernelException("recovery of device " + status.id(), Errno.ENODEV,
                "It was stopped, or its server died before it was there; remove it, and start it anew");
    }

    private Mono<Void> endRecovery() {
        return control().endRecovery(info.id()).doOnSuccess(nothing -> leaving = false).then(Mono.defer(this::forgetShared));
    }

    private Mono<Void> addDevice() {
        return control().add(info).flatMap(granted -> {
            DeviceInfo wanted = info;
            info = granted;
            if (granted.isUnprivileged()) control = control().forUnprivileged();
            try {
                wanted.requireGranted(granted);
                if (granted.isUnprivileged()) control = control().forUnprivileged(granted.id(), memory);
            } catch (IllegalArgumentException | KernelException e) {
                return deleteDevice().then(Mono.error(e));
            }
            return Mono.empty();
        });
    }

    /** Waits until the number is free, but not for long for those who have a stopped device open: they need nothing of ours. */
    private Mono<Void> deleteDevice() {
        if (leaving) return awaitRelease();
        Mono<Void> delete = control().delete(info.id())
                .onErrorResume(DeviceLifecycle::isGone, e -> Mono.empty());   // somebody else was quicker
        return stopping.timeout(config.controlDeadline, Mono.empty(), controlLoop)     // what it waited for ended with the loops
                .then(Mono.defer(() -> stopped
                        ? delete.timeout(APPLICATIONS_PATIENCE, controlLoop).onErrorResume(DeviceLifecycle::isLate,
                                e -> Mono.fromRunnable(() -> LOG.warn("{} is gone, but applications still have it open; its "
                                        + "number is free when they close it", this)))
                        : delete.doOnError(e -> stuck = true)));
    }

    /**
     * Until the driver has let go of our memory, and the next server can come. If one has come so quickly that we do not see
     * the time between, the memory is left alone.
     */
    private Mono<Void> awaitRelease() {
        return control().status(info.id()).filter(DeviceStatus::isRecoverable)
                .repeatWhenEmpty(again -> again.delayElements(RELEASE_POLL, controlLoop))
                .then()
                .timeout(APPLICATIONS_PATIENCE, Mono.fromRunnable(() -> stuck = true), controlLoop)
                .onErrorResume(DeviceLifecycle::isGone, e -> Mono.empty());
    }

    /** Whether there is no such device. */
    static boolean isGone(Throwable e) {
        return isErrno(e, Errno.ENODEV);
    }

    private static boolean isErrno(Throwable e, Errno errno) {
        return e instanceof KernelException refusal && refusal.errno() == errno;
    }

    private static boolean isLate(Throwable e) {
        return e instanceof TimeoutException || isErrno(e, Errno.ETIMEDOUT);
    }

    private Mono<Void> setParameters() {
        return control().setParams(info.id(), DeviceParameters.of(config));
    }

    /**
     * The node is made by devtmpfs at once, elsewhere by udev in its time; a server that just died may hold it a little; and to
     * an ordinary user udev gives it when it has found out whose it is. Before that nothing but ADD_DEV is permitted to him.
     */
    private Mono<Void> openCharDevice() {
        boolean given = info.isUnprivileged();
        String path = "/dev/ublkc" + info.id();
        long persistence = given ? Math.max(1, config.controlDeadline.dividedBy(RELEASE_PAUSE)) : RELEASE_PERSISTENCE;
        return Mono.<Void>fromRunnable(() -> charDevice = kernel.open(path, linux_h.O_RDWR(), 0))
                .retryWhen(reactor.util.retry.Retry.fixedDelay(persistence, RELEASE_PAUSE)
                        .scheduler(controlLoop)
                        .filter(e -> e instanceof KernelException refusal && switch (refusal.errno()) {
                            case ENOENT, EBUSY -> true;
                            case EACCES -> given;
                            default -> false;
                        })
                        .onRetryExhaustedThrow((spec, signal) -> signal.failure()))
                .onErrorMap(e -> given && e instanceof KernelException refusal && refusal.errno() == Errno.EACCES,
                        e -> new KernelException("open " + path, Errno.EACCES, "No udev rule gives ublk devices to their owners; root "
                                + "removes this one: reactor-ublk remove " + info.id()));
    }

    private Mono<Void> closeCharDevice() {
        if (charDevice >= 0) kernel.close(charDevice);
        charDevice = -1;
        return Mono.empty();
    }

    private Mono<Void> startDevice() {
        return control().start(info.id());
    }

    /**
     * Stops while the queues go on serving, because the kernel waits for their answers. A target that keeps it waiting is
     * given its grace; then the queues answer EIO in its place. If even that does not help the steps that follow will: what a
     * server held when its character device closes, the driver fails.
     */
    private Mono<Void> stopDevice() {
        if (failure != null || leaving) return Mono.empty();
        stopping = control().stop(info.id()).doOnSuccess(nothing -> stopped = true).cache();
        return resume().then(stopping).timeout(config.stopGrace, controlLoop)
                .onErrorResume(TimeoutException.class, e -> queues().onEach(queue -> queue.drain("the device stops, and its target "
                                + "has not answered everything within " + config.stopGrace))
                        .then(stopping.timeout(config.controlDeadline, controlLoop)))
                .onErrorResume(TimeoutException.class, e -> queues().inUseAfterTheirAnswers()
                        .doOnNext(requests -> LOG.warn("{} does not stop; closing it under the kernel's requests {}", this, requests))
                        .then());
    }

    @Override
    public String toString() {
        return info.id() < 0 ? "a ublk device" : "/dev/ublkb" + info.id();
    }
}
