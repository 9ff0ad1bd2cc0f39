package io.reactorublk;

import io.reactorublk.memory.MemoryDisk;
import io.reactorublk.memory.MemoryUblk;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.EventLoop;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.RingConfig;
import io.reactorublk.uring.memory.MemoryFile;
import io.reactorublk.uring.memory.MemoryKernel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.concurrent.TimeoutException;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;
import reactor.core.Disposable;
import reactor.core.publisher.Mono;

/**
 * Some lives of one disk, with applications that use it and servers that come, misbehave, and go. One seed decides all of it,
 * so a seed says how it went. Throws an {@link AssertionError} when something is not as it must be.
 */
final class Simulation {

    /** What takes longer goes round in circles. */
    private static final int STEP_LIMIT = 200_000;
    private static final Duration TIME_LIMIT = Duration.ofMinutes(1);
    /** Whenever nothing moves the clock does, to the deadline of a control command, for instance, that waits for a target to go on. */
    private static final Duration SETTLING = Duration.ofMinutes(10);
    private static final int BLOCKS = 64;
    private static final int MAX_IO_BYTES = 4096;

    /** Where servers keep the content that do so in a file. */
    static final Path DISK = Path.of("/disk");

    private static final long MODES = 0x6d6f646573L;
    private static final long LOOPS = 0x4c4f_4f50_5321L;
    private static final long SHARED = 0x5348_4d45_4dL;
    private static final Path SHARED_MEMORY = Path.of("/dev/shm/applications");

    private final SplittableRandom dice;
    /** Dice of their own, so that what else a seed decides stays as it was. */
    private final SplittableRandom modeDice;
    private final SplittableRandom loopDice;
    private final SplittableRandom sharedDice;
    private final MemoryUblk ublk;
    private final MemoryKernel kernel;
    private final SimulationApplications applications;
    private final byte[] content = new byte[BLOCKS * ModelDisk.BLOCK];
    private final Map<String, Integer> events;
    private final List<String> trace;
    private final List<SimulationTarget> targets = new ArrayList<>();
    /** The queues themselves, by number: a target may see a view of its own. */
    private final Map<Integer, UblkQueue> lenders = new HashMap<>();
    boolean faulty;
    private Recovery recovery;
    private UblkServer server;
    private EventLoop elsewhere;
    private UblkDevice device;
    private MemoryDisk disk;
    private boolean quiesces;
    private boolean mayFail;
    private boolean served;
    private boolean unplugged;
    private boolean startFailed;
    private boolean gone;
    private int depth;
    private DataMode mode = DataMode.COPY;
    /** Where the content is in this life, if not in an array. */
    private MemoryFile file;
    private Arena arena;
    /** What the server of this life shares now and then, or null. */
    private SharedMemory memory;
    private boolean shared;
    private boolean leavesGarbage;
    /** What targets of this life have allocated. */
    private int ownMappings;
    private int answersTooMany;
    private int steps;
    private AssertionError failure;

    /**
     * @param events counts what happened
     * @param trace told of everything, or null
     */
    Simulation(long seed, Map<String, Integer> events, List<String> trace) {
        dice = new SplittableRandom(seed);
        modeDice = new SplittableRandom(seed ^ MODES);
        loopDice = new SplittableRandom(seed ^ LOOPS);
        sharedDice = new SplittableRandom(seed ^ SHARED);
        ublk = MemoryUblk.create(seed);
        kernel = ublk.kernel();
        this.events = events;
        this.trace = trace;
        if (trace != null) kernel.trace(trace::add);
        if (once(2)) ublk.withoutPartitionScan();
        try (SharedMemory made = SharedMemory.create(kernel, SHARED_MEMORY, SimulationApplications.MEMORY_BYTES)) {
            applications = new SimulationApplications(this, BLOCKS, made.memory());   // other processes; this one maps it again
        }
    }

    void run() {
        for (int lives = 1 + pick(3); lives > 0; lives--) live();
        watched(ublk::close);
    }

    private void live() {
        elsewhere = EventLoop.start(kernel, "elsewhere", new RingConfig(8, 16, false));
        settle();
        pickMode();
        String footprint = footprint();
        arena = Arena.ofShared();
        start();
        while (device != null) {
            switch (use()) {
                case STOP -> {
                    stop();
                    device = null;
                }
                case HAND_OVER -> {
                    if (handOver()) recover();
                }
                case KILL -> {
                    kill();
                    if (recovery != Recovery.NONE && !once(4)) {
                        recover();
                    } else {
                        remove();
                    }
                }
            }
        }
        served = false;
        applications.serverGone();
        targets.clear();
        settled("end of all I/O", () -> applications.outstanding() == 0);
        arena.close();
        if (memory != null) memory.close();
        memory = null;
        ownMappings = 0;
        if (file != null) System.arraycopy(file.content(), 0, content, 0, content.length);
        // A lost target may still have had something under way on a loop of its own, which no device waits for.
        settled("end of all targets, which leaves " + footprint, () -> footprint.equals(footprint()));
        elsewhere.disposeGracefully().subscribe();
        settle();
        check();
    }

    /** What a LATE_COPY server has copied through goes with its garbage, whenever that is collected. */
    private String footprint() {
        settle();
        return ublk.footprint() + (leavesGarbage ? "" : ", mappings: " + (kernel.liveMappings() - ownMappings));
    }

    private void pickMode() {
        mode = List.of(DataMode.values()).get(modeDice.nextInt(DataMode.values().length));
        leavesGarbage |= mode == DataMode.LATE_COPY;
        file = null;
        if (modeDice.nextBoolean()) {
            file = kernel.file(DISK.toString(), content).heal().latency(Duration.ofNanos(1000L * modeDice.nextInt(3) * modeDice.nextInt(300)));
        }
        happened(mode + (file == null ? "" : " with a file"));
    }

    // ------------------------------------------------------------------------------------------- a life

    private void start() {
        faulty = !once(3);
        recovery = once(2) ? Recovery.NONE : List.of(Recovery.values()).get(pick(Recovery.values().length));
        quiesces = once(2);
        mayFail = unplugged = startFailed = gone = false;
        served = true;
        device = null;
        depth = once(3) ? 2 + pick(3) : 2 + pick(63);
        int queues = 1 + pick(2);
        int loops = 1 + loopDice.nextInt(2);
        server = UblkServer.create().kernel(kernel).size(content.length).queues(queues).loops(loops).queueDepth(depth).dataMode(mode)
                .maxIoBytes(MAX_IO_BYTES).maxDiscardBytes(MAX_IO_BYTES).maxWriteZeroesBytes(MAX_IO_BYTES)
                .stopGrace(Duration.ofMillis(1 + pick(200))).listener(new Listener()).recovery(recovery)
                .serve(queue -> {
                    SimulationTarget target = new SimulationTarget(this, queue);
                    targets.add(target);
                    return target.completions();
                });
        log(() -> "start " + queues + " x " + depth + " on " + Math.min(loops, queues) + " with " + recovery);
        boolean shares = recovery == Recovery.NONE && sharedDice.nextBoolean();   // killed while it shares, none could be recovered
        if (shares) server = server.sharedMemory();
        String before = footprint();
        Disposable starting = server.start().subscribe(started -> device = started, e -> startFailed = true);
        boolean unwanted = once(8);
        for (int i = unwanted ? pick(120) : 0; i > 0 && device == null && move(); i--) check();
        if (unwanted && device == null && once(2)) {
            kill();
            remove();
            return;
        }
        if (unwanted && device == null) {
            starting.dispose();
            happened("start cancelled");
            settled("end of a start that was cancelled, before: " + before, () -> footprint().equals(before));
            return;
        }
        settled("start", () -> device != null || startFailed);
        if (startFailed) fail("the device did not start");
        disk = ublk.disk(device);
        if (shares) {
            memory = SharedMemory.open(kernel, SHARED_MEMORY);
            shared = false;
            share();
        }
        watch();
    }

    /** Or takes it back. Takes as long as a target has something in hand; longer than that nobody may wait. */
    private void share() {
        boolean shares = !shared;
        shared = shares;
        happened(shares ? "shared" : "unshared");
        (shares ? device.share(memory) : device.unshare(memory)).subscribe(nothing -> {}, e -> {
            happened("sharing failed");
            mayFail();
        });
    }

    private void watch() {
        UblkDevice watched = device;
        device.onDispose().subscribe(nothing -> {}, e -> fail("a queue failed: " + e), () -> gone |= watched == device);
    }

    private enum End { STOP, HAND_OVER, KILL }

    /** How that is to end. */
    private End use() {
        int most = 1 + pick(once(2) ? 4 : 3 * depth);
        int lost = faulty && once(3) ? pick(400) : -1;
        int end = once(4) ? pick(40) : 100 + pick(600);
        for (int i = 0; i < end; i++) {
            if (i == lost) {
                mayFail();
                targets.get(pick(targets.size())).breakIt();
            } else if (memory != null && sharedDice.nextInt(100) == 0) {
                share();
            } else if (applications.outstanding() < most && once(3)) {
                applications.submit(disk);
            } else if (once(8)) {
                targets.get(pick(targets.size())).act();
            } else if (faulty && once(100)) {
                targets.get(pick(targets.size())).answerAgain();
            } else if (once(250)) {
                targets.get(pick(targets.size())).flood();
            } else if (!move()) {
                targets.get(pick(targets.size())).act();
            }
            check();
        }
        if (recovery == Recovery.REISSUE && !once(3)) return End.HAND_OVER;
        boolean stops = !once(recovery == Recovery.NONE ? 6 : 2);
        if (quiesces && stops) moved("end of what was asked for", () -> applications.outstanding() == 0);
        return stops ? End.STOP : End.KILL;
    }

    /** Leaves the device to the next server, unless a target does not answer; whether it did. Nobody sees an error of that. */
    private boolean handOver() {
        boolean[] refused = {false};
        device.handOver().subscribe(nothing -> {}, e -> {
            refused[0] = true;
            if (!(e instanceof TimeoutException)) fail("no hand-over: " + e);
        });
        int death = once(5) ? pick(100) : Integer.MAX_VALUE;
        for (int i = 0; i < death && !gone && !refused[0]; i++) {
            settled("move of a hand-over", this::moveUnderLoad);
        }
        if (refused[0]) {
            happened("hand-over refused");
            return false;
        }
        happened(gone ? "handed over" : "killed while it handed over");
        if (!gone) kill();
        return true;
    }

    /** Another server goes on, perhaps after some that died before they could. */
    private void recover() {
        for (int i = pick(20); i > 0; i--) moveUnderLoad();            // nobody serves it meanwhile
        device = null;
        gone = false;
        served = true;
        targets.clear();
        server.recover(0).subscribe(recovered -> device = recovered, e -> fail("it was not recovered: " + e));
        int death = once(5) ? pick(100) : Integer.MAX_VALUE;
        for (int i = 0; i < death && device == null; i++) settled("move of a recovery", this::moveUnderLoad);
        if (device == null) {
            kill();
            happened("killed while it recovered");
            recover();
            return;
        }
        if (unplugged) applications.mayFailSoFar();
        unplugged = false;
        happened("recovered with " + recovery);
        watch();
    }

    private boolean moveUnderLoad() {
        if (applications.outstanding() < depth && once(6)) applications.submit(disk);
        if (!targets.isEmpty() && once(3)) targets.get(pick(targets.size())).act();
        boolean moved = move();
        check();
        return moved;
    }

    private void stop() {
        happened("stopped with " + (applications.outstanding() == 0 ? "nothing" : "something") + " outstanding");
        mayFail();
        device.disposeLater().subscribe();
        boolean goesOn = once(2);
        boolean acts = once(2);
        int more = pick(20);
        int death = once(5) ? pick(150) : 0;
        for (int i = 0; i < death && !gone; i++) {
            move();
            check();
        }
        if (death > 0 && !gone) {
            kill();
            remove();
            return;
        }
        settled("stop", () -> {
            if (more > 0 && goesOn && applications.outstanding() < 4 && once(10)) applications.submit(disk);
            if (faulty && once(300)) targets.get(pick(targets.size())).breakIt();
            if (faulty && once(100)) targets.get(pick(targets.size())).answerAgain();
            if (acts && once(3)) targets.get(pick(targets.size())).act();
            return gone;
        });
    }

    /** The process dies. Of that only who lets applications wait for the next one keeps them from seeing it. */
    private void kill() {
        happened(device == null ? "killed while it started" : device.isDisposed() ? "killed while it stopped" : "killed");
        if (recovery == Recovery.NONE) mayFail();
        ublk.kill();
        ownMappings = 0;
        served = false;
        targets.clear();
        unplugged = recovery == Recovery.FAIL_FAST;
        if (recovery != Recovery.REISSUE) applications.mayFailSoFar();
        applications.serverGone();
        elsewhere = EventLoop.start(kernel, "elsewhere", new RingConfig(8, 16, false));
    }

    /** Nobody goes on. */
    private void remove() {
        mayFail();
        device = null;
        settle();                                                      // finds out what was answered too often just before the death
        EventLoop loop = EventLoop.start(kernel, "next process", new RingConfig(16, 32, true));
        ControlDevice control = new ControlDevice(loop, TIME_LIMIT, ControlListener.NONE);
        ublk.get(control.delete(0).onErrorResume(e -> e instanceof KernelException none && none.errno() == Errno.ENODEV, e -> Mono.empty()));
        settled("end of I/O after a kill", () -> applications.outstanding() == 0);
        control.close();
        loop.disposeGracefully().subscribe();
        settle();
    }

    // ------------------------------------------------------------------------------------------- time

    /** Until this is so, with targets that go on. */
    private void moved(String what, BooleanSupplier done) {
        settled(what, () -> {
            if (once(4)) targets.get(pick(targets.size())).act();
            return done.getAsBoolean();
        });
    }

    /** Until this is so. */
    private void settled(String what, BooleanSupplier done) {
        long start = kernel.nanoTime();
        int idle = 0;
        for (int i = 0; !done.getAsBoolean(); i++) {
            idle = move() ? 0 : idle + 1;
            check();
            if (idle > 1000 || i > STEP_LIMIT || kernel.nanoTime() - start > SETTLING.toNanos()) {
                fail("no " + what + "; " + applications.outstanding() + " operations outstanding, " + footprint());
                check();
            }
        }
    }

    private boolean move() {
        steps++;
        boolean[] moved = {true};
        watched(() -> moved[0] = ublk.step());
        return moved[0] || kernel.skipToNextDeadline();
    }

    private void settle() {
        watched(ublk::settle);
    }

    /** Answers that were one too many are found out, every one of them, and nothing else is. */
    private void watched(Runnable moves) {
        try {
            moves.run();
        } catch (AssertionError breach) {
            foundOut(breach);
            for (Throwable other : breach.getSuppressed()) foundOut((AssertionError) other);
        }
    }

    private void foundOut(AssertionError breach) {
        if (!breach.getMessage().endsWith("has been answered already") || --answersTooMany < 0) throw breach;
        happened("an answer too many was found out");
    }

    private void check() {
        if (failure != null) throw failure;
        for (SimulationTarget target : targets) target.check();
        if (disk != null && !gone && served && device != null && disk.inFlight() > depth * device.queues()) {
            throw new AssertionError(disk.inFlight() + " requests in flight");
        }
    }

    int steps() {
        return steps;
    }

    // ------------------------------------------------------------------------------------------- for targets

    int pick(int count) {
        return dice.nextInt(count);
    }

    boolean once(int times) {
        return dice.nextInt(times) == 0;
    }

    /** Whether a request may be kept for ever: until the device stops. */
    boolean mayKeep() {
        return !quiesces;
    }

    /** A target is about to answer what it has answered. */
    void oneAnswerTooMany() {
        answersTooMany++;
    }

    void mayFail() {
        mayFail = true;
    }

    boolean operationsMayFail() {
        return mayFail || unplugged;
    }

    boolean isServed() {
        return served;
    }

    /** As {@link #pick}, of what only some modes and files have to decide. */
    int pickForMode(int count) {
        return modeDice.nextInt(count);
    }

    /** As {@link #pick}, of what only applications that share memory have to decide. */
    int pickForSharing(int count) {
        return sharedDice.nextInt(count);
    }

    /** Whether requests may come in shared memory, of which a short answer is a failure. */
    boolean shares() {
        return memory != null;
    }

    /** Where the content is, if it is in a file. */
    MemoryFile file() {
        return file;
    }

    /** Memory until this life has ended. */
    MemorySegment memory(int bytes) {
        ownMappings++;
        return kernel.allocate(bytes, arena);
    }

    UblkQueue lender(int queue) {
        return Objects.requireNonNull(lenders.get(queue));
    }

    EventLoop elsewhere() {
        return elsewhere;
    }

    byte[] content() {
        return content;
    }

    void fail(String what) {
        if (failure == null) failure = new AssertionError(what);
    }

    void happened(String event) {
        events.merge(event, 1, Integer::sum);
        log(() -> event);
        if (event.startsWith("fault")) mayFail();
    }

    void log(Supplier<String> event) {
        if (trace != null) trace.add(event.get());
    }

    private final class Listener implements QueueListener {

        @Override
        public QueueListener forQueue(BlockQueue queue) {
            lenders.put(queue.id(), (UblkQueue) queue);
            return this;
        }

        @Override
        public void onStarved(BlockQueue queue) {
            happened("starved");
        }

        @Override
        public void onRebuilt(BlockQueue queue) {
            happened("rebuilt");
        }

        @Override
        public void onCompleted(BlockRequest request, int result, long nanos) {
            if (result > request.length()) fail(request + " completed with " + result);
        }
    }
}
