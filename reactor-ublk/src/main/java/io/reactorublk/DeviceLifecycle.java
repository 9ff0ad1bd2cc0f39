package io.reactorublk;

import io.reactorublk.uring.Errno;
import io.reactorublk.uring.EventLoop;
import io.reactorublk.uring.Kernel;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.RingConfig;
import io.reactorublk.uring.abi.linux_h;
import java.lang.foreign.Arena;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.util.Logger;
import reactor.util.Loggers;

/**
 * The life of one device: a list of steps, each with its way back. Starting walks the list; a step that fails, and the end
 * of the device, walk back over those that were done, in reverse. All on the control loop.
 */
final class DeviceLifecycle {

    private static final Logger LOG = Loggers.getLogger(DeviceLifecycle.class);
    private static final RingConfig CONTROL_RING = new RingConfig(16, 32, true);
    private static final int RELEASE_PERSISTENCE = 50;
    private static final Duration RELEASE_PAUSE = Duration.ofMillis(20);
    private static final Duration RELEASE_POLL = Duration.ofMillis(1);
    /** How long a target may take to subscribe before the device starts without it, and to end before it is cancelled. */
    private static final Duration TARGET_PATIENCE = Duration.ofSeconds(5);

    /** How long a device that has stopped may stay open before its end is told all the same. */
    private static final Duration APPLICATIONS_PATIENCE = Duration.ofSeconds(2);

    /** Operations of its own that a target may have under way for each tag: the mirror's eight replicas. More wait for their turn. */
    private static final int TARGET_OPERATIONS_PER_TAG = 8;
    /** A chain registers pages, transfers, unregisters them. */
    private static final int ENTRIES_PER_PAGES_TRANSFER = 3;
    /** Commits, wake-ups, cancellations. */
    private static final int OTHER_ENTRIES = 64;
    /** Numbers that the driver has for shared memory. */
    private static final int MAX_SHARED = 1 << 16;

    /** What becomes of who waits for the device to start. */
    private enum Wish { WAITING, DELIVERING, DELIVERED, CANCELLED }

    /** One step. {@code forward} undoes itself if it fails; {@code back} is walked only if it did not. */
    private record Step(String name, Supplier<Mono<Void>> forward, Supplier<Mono<Void>> back) {}

    private final Kernel kernel;
    private final BlockTarget target;
    private final Deque<Step> ahead = new ArrayDeque<>();
    private final Deque<Step> done = new ArrayDeque<>();
    private final List<ServedQueue> queues = new ArrayList<>();
    private final List<ServedLoop> loops = new ArrayList<>();
    private final AtomicBoolean disposed = new AtomicBoolean();
    private final AtomicBoolean handingOver = new AtomicBoolean();
    private final Sinks.Empty<Void> whenDisposed = Sinks.empty();
    private final Arena memory = Arena.ofShared();
    private final SharedBuffers.Registered shared = new SharedBuffers.Registered(this::forget);

    private final EventLoop controlLoop;
    private final Disposable controlWatch;
    private @Nullable ControlDevice control;
    private volatile ServerConfig config;
    private volatile DeviceInfo info;
    private int charDevice = -1;
    private final AtomicReference<Wish> wish = new AtomicReference<>(Wish.WAITING);
    private volatile @Nullable Thread deliverer;
    /** Whether the device outlives us: it is not ours yet, or no longer. */
    private volatile boolean leaving;
    /** Whether another server had it before us. */
    private boolean recovered;
    private Mono<Void> stopping = Mono.empty();
    private boolean stopped;
    private boolean stuck;
    /** Whether it was said that queues could not be bound to their CPUs. */
    private boolean unbound;
    private @Nullable Throwable failure;

    private DeviceLifecycle(Kernel kernel, ServerConfig config, BlockTarget target) {
        this.kernel = kernel;
        this.config = config;
        this.target = target;
        info = new DeviceInfo(config.id, config.queues, config.queueDepth, config.maxIoBytes, flags(config));
        controlLoop = config.control == null ? EventLoop.start(kernel, "ublk-control", CONTROL_RING) : config.control.join();
        controlWatch = controlLoop.onDispose().subscribe(nothing -> {}, this::endWithoutControl);
        step("control device", this::openControl, this::closeControl);
    }

    private static long flags(ServerConfig config) {
        return Feature.BATCH_IO.flag() | config.dataMode.flags() | config.recovery.flags()
                | (config.sharedMemory ? Feature.SHMEM_ZC.flag() : 0)
                | (config.partitionScan ? 0 : Feature.NO_AUTO_PART_SCAN.flag())
                | (config.unprivileged ? Feature.UNPRIVILEGED_DEV.flag() : 0);
    }

    /** A new device. */
    static Mono<UblkDevice> start(Kernel kernel, ServerConfig config, BlockTarget target) {
        DeviceLifecycle life = new DeviceLifecycle(kernel, config, target);
        life.step("features", life::requireFeatures, Mono::empty);
        life.step("add", life::addDevice, life::deleteDevice);
        life.step("character device", life::openCharDevice, life::closeCharDevice);
        life.step("parameters", life::setParameters, Mono::empty);
        life.serveWith("start", life::startDevice);
        return life.begin();
    }

    /** A device that another server left. */
    static Mono<UblkDevice> recover(Kernel kernel, ServerConfig config, BlockTarget target, int id) {
        DeviceLifecycle life = new DeviceLifecycle(kernel, config, target);
        life.leaving = true;
        life.recovered = true;
        life.step("recovery", () -> life.adoptDevice(id), life::deleteDevice);
        life.step("character device", life::openCharDevice, life::closeCharDevice);
        life.step("queues", () -> Mono.fromRunnable(() -> life.serveWith("end of the recovery", life::endRecovery)), Mono::empty);
        return life.begin();
    }

    private void serveWith(String name, Supplier<Mono<Void>> goLive) {
        for (int i = 0; i < config.loops(); i++) loops.add(new ServedLoop(i));
        for (int i = 0; i < config.queues; i++) queues.add(loops.get(i % loops.size()).queue(i));
        for (ServedLoop loop : loops) step("loop " + loop.id, loop::open, loop::close);
        for (ServedQueue queue : queues) step("target of queue " + queue.id, queue::serve, queue::endTarget);
        step(name, goLive, this::stopDevice);
    }

    private void step(String name, Supplier<Mono<Void>> forward, Supplier<Mono<Void>> back) {
        ahead.add(new Step(name, forward, back));
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
        return each(ahead, step -> (isWanted() ? forward(step) : Mono.<Void>error(new CancellationException()))
                        .publishOn(controlLoop)
                        .doOnSuccess(nothing -> done.push(step)))
                .subscribeOn(controlLoop)
                .onErrorResume(e -> down().then(Mono.error(e)));
    }

    private Mono<Void> forward(Step step) {
        return Mono.defer(() -> {
            LOG.debug("{}: {}", this, step.name);
            return step.forward.get();
        });
    }

    private Mono<Void> back(Step step) {
        return Mono.defer(() -> {
            LOG.debug("{}: {}", this, "back from " + step.name);
            return step.back.get();
        });
    }

    private Mono<Void> down() {
        return each(done, step -> back(step)
                        .onErrorResume(e -> {
                            LOG.warn("undoing \"" + step.name + "\" of " + this + " failed; going on", e);
                            return Mono.empty();
                        })
                        .publishOn(controlLoop))
                .then(Mono.defer(this::leaveControlLoop))
                .then(Mono.fromRunnable(this::freeMemory));
    }

    private Mono<Void> leaveControlLoop() {
        controlWatch.dispose();
        UblkControl others = config.control;
        return others == null ? controlLoop.disposeGracefully() : Mono.fromRunnable(others::leave);
    }

    /** One after the other, until none is left; a step may add some. */
    private static Mono<Void> each(Deque<Step> steps, Function<Step, Mono<Void>> walk) {
        return Flux.<Step>generate(sink -> {
            Step step = steps.poll();
            if (step == null) {
                sink.complete();
            } else {
                sink.next(step);
            }
        }).concatMap(walk, 0).then();
    }

    /** Not if the device could not be deleted: then the kernel may still write to it. */
    private void freeMemory() {
        if (!stuck) memory.close();
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
                    .thenMany(Flux.fromIterable(queues).flatMap(served -> served.queue().hold())).then()
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
        return onEveryQueue(UblkQueue::resume);
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
            for (ServedQueue served : queues) served.queue().resized(bytes);
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
        for (ServedQueue served : queues) {
            served.queue().whenStopped().publishOn(controlLoop).subscribe(nothing -> {}, e -> {},
                    () -> dispose().subscribe(nothing -> {}, ignored -> {}));
            served.queue().whenFailed().publishOn(controlLoop).subscribe(nothing -> {}, this::fail);
            served.loop().onDispose().publishOn(controlLoop).subscribe(nothing -> {}, this::fail);
        }
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
        Flux.fromIterable(queues).flatMap(ServedQueue::abandon)
                .thenMany(Flux.fromIterable(loops).flatMap(ServedLoop::abandon))
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
        return java.util.Objects.requireNonNull(control);
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
                .onErrorResume(TimeoutException.class, e -> onEveryQueue(queue -> queue.drain("the device stops, and its target "
                                + "has not answered everything within " + config.stopGrace))
                        .then(stopping.timeout(config.controlDeadline, controlLoop)))
                .onErrorResume(TimeoutException.class, e -> Flux.fromIterable(queues)
                        .flatMap(served -> Mono.fromSupplier(served.queue()::inUseAfterTheirAnswers).subscribeOn(served.loop()))
                        .flatMapIterable(requests -> requests)
                        .collectList()
                        .doOnNext(requests -> LOG.warn("{} does not stop; closing it under the kernel's requests {}", this, requests))
                        .then());
    }

    private Mono<Void> onEveryQueue(java.util.function.Consumer<UblkQueue> action) {
        return Flux.fromIterable(queues)
                .flatMap(served -> Mono.fromRunnable(() -> action.accept(served.queue())).subscribeOn(served.loop()))
                .then();
    }

    @Override
    public String toString() {
        return info.id() < 0 ? "a ublk device" : "/dev/ublkb" + info.id();
    }

    /** A loop, and the queues that it serves: they end with it, because nothing but the end of its ring ends what they ask for. */
    private final class ServedLoop {

        private final int id;
        private final List<ServedQueue> queues = new ArrayList<>();
        private @Nullable EventLoop loop;

        ServedLoop(int id) {
            this.id = id;
        }

        /** To be served here. Before the loop is opened. */
        ServedQueue queue(int number) {
            ServedQueue queue = new ServedQueue(number, this, queues.size());
            queues.add(queue);
            return queue;
        }

        EventLoop loop() {
            return java.util.Objects.requireNonNull(loop);
        }

        private Mono<Void> abandon() {
            if (loop == null) return Mono.empty();
            return loop.disposeGracefully()
                    .then(Mono.<Void>fromRunnable(() -> queues.forEach(ServedQueue::free)))     // a mapping holds the device, too
                    .onErrorComplete();
        }

        /** The thread first: what it then allocates and touches is memory of the node it is bound to. */
        private Mono<Void> open() {
            try {
                String name = loops.size() == config.queues ? "q" : "l";
                loop = EventLoop.start(kernel, "ublk-" + info.id() + "-" + name + id, ringFor(info.queueDepth() * queues.size()));
            } catch (RuntimeException e) {
                for (ServedQueue queue : queues) queue.free();
                throw e;
            }
            Mono<Void> setUp = bind().then(Mono.<Void>fromRunnable(this::declareIoFlusher).subscribeOn(loop()))
                    .then(Flux.fromIterable(queues).concatMap(ServedQueue::open).then());
            return Mono.firstWithSignal(setUp, death()).onErrorResume(e -> close().then(Mono.error(e)));
        }

        /** Who waits for what a loop does would wait for ever if that dies; of an error that Reactor passes on only as a cause. */
        private Mono<Void> death() {
            return loop().onDispose().onErrorMap(e -> new IllegalStateException(loop().name() + " has died", e)).then(Mono.never());
        }

        /** To the CPUs whose requests come to its queues. A server that may not use them serves all the same. */
        private Mono<Void> bind() {
            if (!config.affinity) return Mono.empty();
            return Flux.fromIterable(queues)
                    .concatMap(queue -> control().affinity(info.id(), queue.id))
                    .reduce(DeviceLifecycle::union)
                    .flatMap(cpus -> Mono.<Void>fromRunnable(() -> kernel.schedSetaffinity(cpus))
                            .subscribeOn(loop())
                            .publishOn(controlLoop)
                            .onErrorResume(KernelException.class, this::runAnywhere));
        }

        private Mono<Void> runAnywhere(KernelException refusal) {
            if (!unbound) LOG.warn("the queues of {} run on any CPU: {}", DeviceLifecycle.this, refusal.getMessage());
            unbound = true;
            return Mono.empty();
        }

        /**
         * Sized so that what a turn stages leaves with its one system call, and a completion always finds room: a full completion
         * queue ends the fetch, and eats lent slots.
         */
        private RingConfig ringFor(int tags) {
            int entries = config.dataMode == DataMode.LATE_ZERO_COPY ? ENTRIES_PER_PAGES_TRANSFER : 1;
            int operations = Math.min(TARGET_OPERATIONS_PER_TAG * tags, (RingConfig.MAX_SUBMISSION_ENTRIES - OTHER_ENTRIES) / entries);
            int submissions = operations * entries + OTHER_ENTRIES;
            int completions = tags + submissions;
            if (completions > RingConfig.MAX_COMPLETION_ENTRIES) {
                throw new IllegalArgumentException(tags + " requests in flight on one loop: in DataMode." + config.dataMode
                        + " " + (RingConfig.MAX_COMPLETION_ENTRIES - submissions) + " are possible; use more loops, or less depth");
            }
            return new RingConfig(submissions, completions, false, operations);
        }

        /** Or a page that this thread allocates could wait for a write-back that waits for this thread. */
        private void declareIoFlusher() {
            try {
                kernel.prctl(linux_h.PR_SET_IO_FLUSHER(), 1);
            } catch (KernelException e) {
                LOG.warn("{} runs without PR_SET_IO_FLUSHER, so it can deadlock under memory pressure: {}. "
                        + "It needs CAP_SYS_RESOURCE", loop().name(), e.getMessage());
            }
        }

        private Mono<Void> close() {
            return loop().disposeGracefully()
                    .doOnTerminate(() -> queues.forEach(ServedQueue::closed))
                    .thenMany(Flux.fromIterable(queues).concatMap(ServedQueue::detach))
                    .then()
                    .publishOn(controlLoop)
                    .then(Mono.defer(this::awaitUsers))
                    .onErrorResume(e -> {
                        stuck = true;                                  // the loop has died, and the kernel may still use our memory
                        return Mono.empty();
                    })
                    .then(Mono.fromRunnable(() -> queues.forEach(ServedQueue::free)));
        }

        /** Memory is not given back while a lost target has it written to on a loop of its own. */
        private Mono<Void> awaitUsers() {
            return Mono.fromSupplier(() -> queues.stream().noneMatch(ServedQueue::isInUse))
                    .filter(unused -> unused)
                    .repeatWhenEmpty(again -> again.delayElements(RELEASE_POLL, controlLoop))
                    .then()
                    .timeout(TARGET_PATIENCE, Mono.fromRunnable(() -> {
                        LOG.warn("operations of a lost target of {} are still under way; the memory they use is never given back",
                                DeviceLifecycle.this);
                        stuck = true;
                    }), controlLoop);
        }
    }

    private static BitSet union(BitSet some, BitSet others) {
        BitSet all = (BitSet) some.clone();
        all.or(others);
        return all;
    }

    /** One queue with its memory. */
    private final class ServedQueue {

        private final int id;
        private final ServedLoop server;
        /** Its place among the queues of its loop. */
        private final int place;
        private final Arena mapped = Arena.ofShared();
        private @Nullable DataBuffers data;
        private @Nullable FetchBuffer fetch;
        private @Nullable UblkQueue queue;

        ServedQueue(int id, ServedLoop server, int place) {
            this.id = id;
            this.server = server;
            this.place = place;
        }

        EventLoop loop() {
            return server.loop();
        }

        UblkQueue queue() {
            return java.util.Objects.requireNonNull(queue);
        }

        private Mono<Void> open() {
            return Mono.<Void>fromRunnable(this::setUp).subscribeOn(loop()).then(Mono.defer(() -> queue().prepare()));
        }

        private void setUp() {
            int depth = info.queueDepth();
            QueueMemory queueMemory =
                    QueueMemory.allocate(config.dataMode, kernel, charDevice, id, depth, info.maxIoBytes(), shared, memory, mapped);
            data = queueMemory.data();
            fetch = new FetchBuffer(loop().ring(), place, queueMemory.fetchSlots(), depth);
            BatchCommands commands = new BatchCommands(loop().ring(), charDevice, id, config.dataMode);
            queueMemory.data().attach(loop(), charDevice, id, place, server.queues.size());
            queue = new UblkQueue(info.id(), id, recovered, DeviceParameters.of(config), loop(), queueMemory, commands, fetch,
                    config.listener);
            if (info.isUnprivileged()) queue.guard(config.patience);
        }

        private void closed() {
            if (queue != null) queue.closed();
        }

        private Mono<Void> abandon() {
            return queue == null ? Mono.empty()
                    : Mono.<Void>fromRunnable(() -> queue().stopped()).subscribeOn(loop()).onErrorComplete();
        }

        private boolean isInUse() {
            return queue != null && queue.isInUse();
        }

        private Mono<Void> detach() {
            return data == null ? Mono.empty() : data.detach();
        }

        private void free() {
            if (fetch != null) fetch.close();
            mapped.close();
        }

        private Mono<Void> serve() {
            return queue().serve(config.dataMode == DataMode.USER_COPY ? new UserCopy(target) : target)
                    .timeout(TARGET_PATIENCE, Mono.fromRunnable(() -> LOG.warn(
                            "the target of {} has not subscribed to it within {}; starting all the same",
                            queue(), TARGET_PATIENCE)), controlLoop)
                    .onErrorResume(e -> endTarget().then(Mono.error(e)));
        }

        private Mono<Void> endTarget() {
            boolean died = loop().isDisposed();                        // then nobody else is there who could tell the target
            return Mono.fromRunnable(() -> queue().stopped()).subscribeOn(died ? controlLoop : loop())
                    .then(queue().whenTargetEnded())
                    .timeout(TARGET_PATIENCE, Mono.fromRunnable(() -> {
                        LOG.warn("the target of {} has not ended within {} and is cancelled", queue(), TARGET_PATIENCE);
                        (died ? controlLoop : loop()).execute(() -> queue().cancelTarget());
                    }), controlLoop);
        }
    }
}
