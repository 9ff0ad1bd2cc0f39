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
import java.util.Deque;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Function;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
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

    /** Operations of its own that a target may have in the ring for each tag: the mirror's eight replicas. */
    private static final int TARGET_OPERATIONS_PER_TAG = 8;
    /** A chain registers pages, transfers, unregisters them. */
    private static final int ENTRIES_PER_PAGES_TRANSFER = 3;
    /** Entries staged in one turn for each tag, before they must leave early with a system call of their own. */
    private static final int ENTRIES_PER_TAG = 4;
    /** Commits, wake-ups, cancellations. */
    private static final int OTHER_COMPLETIONS = 64;

    /** One step. {@code forward} undoes itself if it fails; {@code back} is walked only if it did not. */
    private record Step(String name, Supplier<Mono<Void>> forward, Supplier<Mono<Void>> back) {}

    private final Kernel kernel;
    private final BlockTarget target;
    private final Deque<Step> ahead = new ArrayDeque<>();
    private final Deque<Step> done = new ArrayDeque<>();
    private final List<ServedQueue> queues = new ArrayList<>();
    private final AtomicBoolean disposed = new AtomicBoolean();
    private final AtomicBoolean handingOver = new AtomicBoolean();
    private final Sinks.Empty<Void> whenDisposed = Sinks.empty();
    private final Arena memory = Arena.ofShared();
    private final SharedBuffers.Registered shared = new SharedBuffers.Registered();

    private final EventLoop controlLoop;
    private @Nullable ControlDevice control;
    private volatile ServerConfig config;
    private volatile DeviceInfo info;
    private int charDevice = -1;
    private volatile boolean unwanted;
    private volatile boolean started;
    /** Whether the device outlives us: it is not ours yet, or no longer. */
    private volatile boolean leaving;
    private boolean stopped;
    private boolean stuck;
    private @Nullable Throwable failure;

    private DeviceLifecycle(Kernel kernel, ServerConfig config, BlockTarget target) {
        this.kernel = kernel;
        this.config = config;
        this.target = target;
        info = new DeviceInfo(config.id, config.queues, config.queueDepth, config.maxIoBytes, flags(config));
        controlLoop = EventLoop.start(kernel, "ublk-control", CONTROL_RING);
        step("control device", this::openControl, this::closeControl);
    }

    private static long flags(ServerConfig config) {
        return Feature.BATCH_IO.flag() | config.dataMode.flags() | config.recovery.flags()
                | (config.sharedMemory ? Feature.SHMEM_ZC.flag() : 0);
    }

    /** A new device. */
    static Mono<UblkDevice> start(Kernel kernel, ServerConfig config, BlockTarget target) {
        DeviceLifecycle life = new DeviceLifecycle(kernel, config, target);
        life.step("features", life::requireFeatures, Mono::empty);
        life.step("add", life::addDevice, life::deleteDevice);
        life.step("parameters", life::setParameters, Mono::empty);
        life.serveWith("start", life::startDevice);
        return life.begin();
    }

    /** A device that another server left. */
    static Mono<UblkDevice> recover(Kernel kernel, ServerConfig config, BlockTarget target, int id) {
        DeviceLifecycle life = new DeviceLifecycle(kernel, config, target);
        life.leaving = true;
        life.step("recovery", () -> life.adoptDevice(id).then(Mono.fromRunnable(() -> life.serveWith("end of the recovery", life::endRecovery))),
                life::deleteDevice);
        return life.begin();
    }

    private void serveWith(String name, Supplier<Mono<Void>> goLive) {
        step("character device", this::openCharDevice, this::closeCharDevice);
        for (int i = 0; i < config.queues; i++) {
            ServedQueue queue = new ServedQueue(i);
            queues.add(queue);
            step("queue " + i, queue::open, queue::close);
        }
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
        return Mono.create(sink -> {
            UblkDevice device = new UblkDevice(this);
            sink.onCancel(() -> {
                unwanted = true;
                if (started) discard(wasThere);                        // whoever comes second of the two sees the first
            });
            up().subscribe(nothing -> {}, e -> {
                if (!unwanted) sink.error(e);
            }, () -> {
                watchQueues();
                started = true;
                sink.success(device);
                if (unwanted) discard(wasThere);
            });
        });
    }

    /** As if nothing had been asked: without the device, or with one that can be recovered. */
    private void discard(boolean wasThere) {
        leaving = wasThere;
        dispose().subscribe(nothing -> {}, ignored -> {});
    }

    private Mono<Void> up() {
        return each(ahead, step -> (unwanted ? Mono.<Void>error(new CancellationException()) : Mono.defer(step.forward))
                        .publishOn(controlLoop)
                        .doOnSuccess(nothing -> done.push(step)))
                .subscribeOn(controlLoop)
                .onErrorResume(e -> down().then(Mono.error(e)));
    }

    private Mono<Void> down() {
        return each(done, step -> Mono.defer(step.back)
                        .onErrorResume(e -> {
                            LOG.warn("undoing \"" + step.name + "\" of " + this + " failed; going on", e);
                            return Mono.empty();
                        })
                        .publishOn(controlLoop))
                .then(Mono.defer(controlLoop::disposeGracefully))
                .then(Mono.fromRunnable(this::freeMemory));
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
            Mono<Void> left = Flux.fromIterable(queues).flatMap(served -> served.queue().hold()).then()
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
     * A queue that failed can answer nothing more, so the device is ended at once; the driver gives EIO to what it held. So it
     * is if somebody else has stopped it: nothing is left to serve.
     */
    private void watchQueues() {
        for (ServedQueue served : queues) {
            served.queue().whenStopped().publishOn(controlLoop).subscribe(nothing -> {}, e -> {},
                    () -> dispose().subscribe(nothing -> {}, ignored -> {}));
            served.queue().whenFailed().publishOn(controlLoop).subscribe(nothing -> {}, e -> {
                failure = e;
                dispose().subscribe(nothing -> {}, ignored -> {});
            });
        }
    }

    Mono<Void> share(SharedMemory memory) {
        return Mono.defer(() -> control().register(info.id(), memory.memory()))
                .doOnNext(index -> shared.add(index, memory))
                .then();
    }

    Mono<Void> unshare(SharedMemory memory) {
        return Mono.defer(() -> {
            Integer index = shared.indexOf(memory);
            if (index == null) return Mono.error(new IllegalArgumentException(memory + " is not shared by " + this));
            return control().unregister(info.id(), index).doOnSuccess(nothing -> shared.remove(index, memory));
        });
    }

    // ------------------------------------------------------------------------------------------- the steps

    private Mono<Void> openControl() {
        control = new ControlDevice(controlLoop, config.controlDeadline);
        return Mono.empty();
    }

    private ControlDevice control() {
        return java.util.Objects.requireNonNull(control);
    }

    private Mono<Void> closeControl() {
        control().close();
        return Mono.empty();
    }

    private Mono<Void> requireFeatures() {
        return control().features()
                .doOnNext(offered -> Feature.requireAll(info.flags(), offered, System.getProperty("os.version")))
                .then();
    }

    /** Looks before it asks, so that the device is left as it is if we cannot serve it. */
    private Mono<Void> adoptDevice(int id) {
        return Mono.zip(control().status(id), control().params(id)).doOnNext(is -> {
            requireServable(is.getT1());
            info = DeviceInfo.of(is.getT1());
            config = config.of(is.getT1(), is.getT2());
        }).then(Mono.defer(() -> control().startRecovery(id)));
    }

    private void requireServable(DeviceStatus status) {
        if (!status.features().contains(Feature.BATCH_IO)) {
            throw new IllegalArgumentException(status.path() + " was made by a server that does not use UBLK_F_BATCH_IO");
        }
        if (!config.dataMode.fits(status.features())) {
            throw new IllegalArgumentException("%s was made with %s, which does not fit this server's DataMode.%s"
                    .formatted(status.path(), status.features(), config.dataMode));
        }
    }

    private Mono<Void> endRecovery() {
        return control().endRecovery(info.id()).doOnSuccess(nothing -> leaving = false);
    }

    private Mono<Void> addDevice() {
        return control().add(info).flatMap(granted -> {
            DeviceInfo wanted = info;
            info = granted;
            try {
                wanted.requireGranted(granted);
            } catch (IllegalArgumentException e) {
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
        if (!stopped) return delete.doOnError(e -> stuck = true);
        return delete.timeout(APPLICATIONS_PATIENCE, Mono.fromRunnable(() -> LOG.warn(
                "{} is gone, but applications still have it open; its number is free when they close it", this)), controlLoop);
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
        return e instanceof KernelException refusal && refusal.errno() == Errno.ENODEV;
    }

    private Mono<Void> setParameters() {
        return control().setParams(info.id(), DeviceParameters.of(config));
    }

    /** The node is made by devtmpfs at once, elsewhere by udev in its time; and a server that just died may hold it a little. */
    private Mono<Void> openCharDevice() {
        return Mono.<Void>fromRunnable(() -> charDevice = kernel.open("/dev/ublkc" + info.id(), linux_h.O_RDWR(), 0))
                .retryWhen(reactor.util.retry.Retry.fixedDelay(RELEASE_PERSISTENCE, RELEASE_PAUSE)
                        .scheduler(controlLoop)
                        .filter(e -> e instanceof KernelException refusal
                                && (refusal.errno() == Errno.ENOENT || refusal.errno() == Errno.EBUSY))
                        .onRetryExhaustedThrow((spec, signal) -> signal.failure()));
    }

    private Mono<Void> closeCharDevice() {
        kernel.close(charDevice);
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
        Mono<Void> stop = control().stop(info.id()).doOnSuccess(nothing -> stopped = true).cache();
        return resume().then(stop).timeout(config.stopGrace, controlLoop)
                .onErrorResume(TimeoutException.class, e -> onEveryQueue(queue -> queue.drain("the device stops, and its target "
                                + "has not answered everything within " + config.stopGrace))
                        .then(stop.timeout(config.controlDeadline, controlLoop)))
                .onErrorResume(TimeoutException.class, e -> {
                    LOG.warn("{} does not stop; closing it under the kernel's requests", this);
                    return Mono.empty();
                });
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

    /** One queue with its loop and its memory. */
    private final class ServedQueue {

        private final int id;
        private final Arena mapped = Arena.ofShared();
        private @Nullable EventLoop loop;
        private @Nullable DataBuffers data;
        private @Nullable FetchBuffer fetch;
        private @Nullable UblkQueue queue;

        ServedQueue(int id) {
            this.id = id;
        }

        EventLoop loop() {
            return java.util.Objects.requireNonNull(loop);
        }

        private DataBuffers data() {
            return java.util.Objects.requireNonNull(data);
        }

        UblkQueue queue() {
            return java.util.Objects.requireNonNull(queue);
        }

        private Mono<Void> open() {
            int depth = info.queueDepth();
            QueueMemory queueMemory;
            try {
                queueMemory = QueueMemory.allocate(config.dataMode, kernel, charDevice, id, depth, info.maxIoBytes(), shared, memory, mapped);
            } catch (RuntimeException e) {
                mapped.close();
                throw e;
            }
            data = queueMemory.data();
            try {
                loop = EventLoop.start(kernel, "ublk-" + info.id() + "-q" + id, ringFor(depth));
            } catch (RuntimeException e) {
                mapped.close();
                throw e;
            }
            return Mono.<Void>fromRunnable(() -> {
                        declareIoFlusher();
                        fetch = new FetchBuffer(loop().ring(), queueMemory.fetchSlots(), depth);
                        BatchCommands commands = new BatchCommands(loop().ring(), charDevice, id, config.dataMode);
                        data().attach(loop(), charDevice, id);
                        queue = new UblkQueue(info.id(), id, config.sizeBytes, config.blockSize, loop(), queueMemory, commands,
                                fetch, config.listener);
                    })
                    .subscribeOn(loop())
                    .then(Mono.defer(() -> queue().prepare()))
                    .onErrorResume(e -> close().then(Mono.error(e)));
        }

        /** Sized so that a completion always finds room: a full completion queue ends the fetch, and eats lent slots. */
        private RingConfig ringFor(int depth) {
            int entries = config.dataMode == DataMode.LATE_ZERO_COPY ? ENTRIES_PER_PAGES_TRANSFER : 1;
            return new RingConfig(ENTRIES_PER_TAG * depth * entries,
                    depth * (1 + TARGET_OPERATIONS_PER_TAG * entries) + OTHER_COMPLETIONS, false);
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
            return loop().disposeGracefully().doOnTerminate(() -> {
                if (queue != null) queue.closed();
            }).then(data().detach()).publishOn(controlLoop).then(Mono.fromRunnable(() -> {
                if (fetch != null) fetch.close();
                mapped.close();
            }));
        }

        private Mono<Void> serve() {
            return queue().serve(config.dataMode == DataMode.USER_COPY ? new UserCopy(target) : target)
                    .timeout(TARGET_PATIENCE, Mono.fromRunnable(() -> LOG.warn(
                            "the target of {} has not subscribed to it within {}; starting all the same",
                            queue(), TARGET_PATIENCE)), controlLoop)
                    .onErrorResume(e -> endTarget().then(Mono.error(e)));
        }

        private Mono<Void> endTarget() {
            return Mono.fromRunnable(() -> queue().stopped()).subscribeOn(loop())
                    .then(queue().whenTargetEnded())
                    .timeout(TARGET_PATIENCE, Mono.fromRunnable(() -> {
                        LOG.warn("the target of {} has not ended within {} and is cancelled", queue(), TARGET_PATIENCE);
                        loop().execute(() -> queue().cancelTarget());
                    }), controlLoop);
        }
    }
}
