package io.reactorublk;

import io.reactorublk.uring.EventLoop;
import io.reactorublk.uring.Kernel;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.RingConfig;
import io.reactorublk.uring.abi.linux_h;
import java.lang.foreign.Arena;
import java.time.Duration;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Objects;
import java.util.function.Consumer;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.util.Logger;
import reactor.util.Loggers;

/**
 * The queues of a device whose character device is open, and the loops that serve them: how they begin and how they end. On the
 * control loop, where nothing else is said.
 */
final class DeviceQueues {

    private static final Logger LOG = Loggers.getLogger(DeviceQueues.class);
    /** How long a target may take to subscribe before the device starts without it, and to end before it is cancelled. */
    private static final Duration TARGET_PATIENCE = Duration.ofSeconds(5);
    private static final Duration RELEASE_POLL = Duration.ofMillis(1);

    /** Operations of its own that a target may have under way for each tag: the mirror's eight replicas. More wait for their turn. */
    private static final int TARGET_OPERATIONS_PER_TAG = 8;
    /** A chain registers pages, transfers, unregisters them. */
    private static final int ENTRIES_PER_PAGES_TRANSFER = 3;
    /** Commits, wake-ups, cancellations. */
    private static final int OTHER_ENTRIES = 64;

    private final Kernel kernel;
    private final ServerConfig config;
    private final BlockTarget target;
    private final EventLoop controlLoop;
    private final ControlDevice control;
    private final DeviceInfo info;
    private final boolean recovered;
    private final int charDevice;
    private final Arena memory;
    private final SharedBuffers.Registered shared;
    private final List<ServedLoop> loops = new ArrayList<>();
    private final List<ServedQueue> queues = new ArrayList<>();
    /** Whether it was said that queues could not be bound to their CPUs. */
    private boolean unbound;
    private boolean stuck;

    /**
     * @param info what the driver has granted
     * @param recovered whether another server had the device before
     * @param memory is freed when the device has been deleted, unless it {@link #isStuck}
     */
    DeviceQueues(Kernel kernel, ServerConfig config, BlockTarget target, ControlDevice control, DeviceInfo info, boolean recovered,
            int charDevice, Arena memory, SharedBuffers.Registered shared) {
        this.kernel = kernel;
        this.config = config;
        this.target = target;
        this.controlLoop = control.loop();
        this.control = control;
        this.info = info;
        this.recovered = recovered;
        this.charDevice = charDevice;
        this.memory = memory;
        this.shared = shared;
        for (int i = 0; i < config.loops(); i++) loops.add(new ServedLoop(i));
        for (int i = 0; i < config.queues; i++) queues.add(loops.get(i % loops.size()).queue(i));
    }

    /** All loops with their queues, then all targets: no queue asks for anything before every queue could. */
    void addTo(LifecycleSteps steps) {
        for (ServedLoop loop : loops) steps.add("loop " + loop.id, loop::open, loop::close);
        for (ServedQueue queue : queues) steps.add("target of queue " + queue.id, queue::serve, queue::endTarget);
    }

    /** @throws IllegalArgumentException if so many requests are too many for one loop */
    static void requireRoom(ServerConfig config) {
        int tagsOfALoop = Math.ceilDiv(config.queues, config.loops()) * config.queueDepth;
        ringFor(config.dataMode, tagsOfALoop);
        CharDeviceBuffers.requireTable(config.dataMode, tagsOfALoop);
    }

    /**
     * Sized so that what a turn stages leaves with its one system call, and a completion always finds room: a full completion
     * queue ends the fetch, and eats lent slots.
     */
    private static RingConfig ringFor(DataMode mode, int tags) {
        int entries = mode == DataMode.LATE_ZERO_COPY ? ENTRIES_PER_PAGES_TRANSFER : 1;
        int operations = Math.min(TARGET_OPERATIONS_PER_TAG * tags, (RingConfig.MAX_SUBMISSION_ENTRIES - OTHER_ENTRIES) / entries);
        int submissions = operations * entries + OTHER_ENTRIES;
        int completions = tags + submissions;
        if (completions > RingConfig.MAX_COMPLETION_ENTRIES) {
            throw new IllegalArgumentException(tags + " requests in flight on one loop: in DataMode." + mode
                    + " " + (RingConfig.MAX_COMPLETION_ENTRIES - submissions) + " are possible; use more loops, or less depth");
        }
        return new RingConfig(submissions, completions, false, operations);
    }

    // ------------------------------------------------------------------------------------------- all of them

    /** Each on its loop. */
    Mono<Void> onEach(Consumer<UblkQueue> action) {
        return all(served -> Mono.<Void>fromRunnable(() -> action.accept(served.queue())).subscribeOn(served.loop()));
    }

    /** See {@link UblkQueue#hold}. */
    Mono<Void> hold() {
        return all(served -> served.queue().hold());
    }

    private Mono<Void> all(Function<ServedQueue, Mono<Void>> each) {
        return Mono.when(queues.stream().map(each).toList());
    }

    /** The device has another size. */
    void resized(long bytes) {
        for (ServedQueue served : queues) served.queue().resized(bytes);
    }

    /** Completes when the driver says that the device was stopped, whoever did it. */
    Mono<Void> whenStopped() {
        return Mono.firstWithSignal(queues.stream().map(served -> served.queue().whenStopped()).toList());
    }

    /** Fails when a queue or its loop does: it can answer nothing more. */
    Mono<Void> whenFailed() {
        return all(served -> Mono.when(served.queue().whenFailed(), served.loop().onDispose()));
    }

    /** See {@link UblkQueue#inUseAfterTheirAnswers}. */
    Mono<List<String>> inUseAfterTheirAnswers() {
        return Flux.fromIterable(queues)
                .concatMap(served -> Mono.fromSupplier(served.queue()::inUseAfterTheirAnswers).subscribeOn(served.loop()))
                .flatMapIterable(requests -> requests)
                .collectList();
    }

    /** The end without a control loop, as far as there is one. Any thread. */
    Mono<Void> abandon() {
        return all(ServedQueue::abandon).then(Mono.when(loops.stream().map(ServedLoop::abandon).toList()));
    }

    /** Whether somebody may still use the memory of the queues, though they have ended. */
    boolean isStuck() {
        return stuck;
    }

    @Override
    public String toString() {
        return "/dev/ublkb" + info.id();
    }

    // ------------------------------------------------------------------------------------------- one loop

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
            return Objects.requireNonNull(loop);
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
                String kind = loops.size() == info.queues() ? "q" : "l";
                loop = EventLoop.start(kernel, "ublk-" + info.id() + "-" + kind + id, ringFor(config.dataMode, info.queueDepth() * queues.size()));
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
                    .concatMap(queue -> control.affinity(info.id(), queue.id))
                    .reduce(DeviceQueues::union)
                    .flatMap(cpus -> Mono.<Void>fromRunnable(() -> kernel.schedSetaffinity(cpus))
                            .subscribeOn(loop())
                            .publishOn(controlLoop)
                            .onErrorResume(KernelException.class, this::runAnywhere));
        }

        private Mono<Void> runAnywhere(KernelException refusal) {
            if (!unbound) LOG.warn("the queues of {} run on any CPU: {}", DeviceQueues.this, refusal.getMessage());
            unbound = true;
            return Mono.empty();
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
                                DeviceQueues.this);
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
            return Objects.requireNonNull(queue);
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
