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
import java.util.List;
import java.util.Map;
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
    private static final int BLOCKS = 64;
    private static final int MAX_IO_BYTES = 4096;

    /** Where servers keep the content that do so in a file. */
    static final Path DISK = Path.of("/disk");

    private static final long MODES = 0x6d6f646573L;

    private final SplittableRandom dice;
    /** Dice of their own, so that what else a seed decides stays as it was. */
    private final SplittableRandom modeDice;
    private final MemoryUblk ublk;
    private final MemoryKernel kernel;
    private final SimulationApplications applications = new SimulationApplications(this, BLOCKS);
    private final byte[] content = new byte[BLOCKS * ModelDisk.BLOCK];
    private final Map<String, Integer> events;
    private final List<String> trace;
    private final List<SimulationTarget> targets = new ArrayList<>();
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
    private boolean leavesGarbage;
    /** What targets of this life have allocated. */
    private int ownMappings;
    private int steps;
    private AssertionError failure;

    /**
     * @param events counts what happened
     * @param trace told of everything, or null
     */
    Simulation(long seed, Map<String, Integer> events, List<String> trace) {
        dice = new SplittableRandom(seed);
        modeDice = new SplittableRandom(seed ^ MODES);
        ublk = MemoryUblk.create(seed);
        kernel = ublk.kernel();
        this.events = events;
        this.trace = trace;
        if (trace != null) kernel.trace(trace::add);
        if (once(2)) ublk.withoutPartitionScan();
    }

    void run() {
        for (int lives = 1 + pick(3); lives > 0; lives--) live();
        ublk.close();
    }

    private void live() {
        elsewhere = EventLoop.start(kernel, "elsewhere", new RingConfig(8, 16, false));
        ublk.settle();
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
        ownMappings = 0;
        if (file != null) System.arraycopy(file.content(), 0, content, 0, content.length);
        if (!footprint.equals(footprint())) fail("left: " + footprint() + "; before: " + footprint);
        elsewhere.disposeGracefully().subscribe();
        ublk.settle();
        check();
    }

    /** What a LATE_COPY server has copied through goes with its garbage, whenever that is collected. */
    private String footprint() {
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
        server = UblkServer.create().kernel(kernel).size(content.length).queues(queues).queueDepth(depth).dataMode(mode)
                .maxIoBytes(MAX_IO_BYTES).maxDiscardBytes(MAX_IO_BYTES).maxWriteZeroesBytes(MAX_IO_BYTES)
                .stopGrace(Duration.ofMillis(1 + pick(200))).listener(new Listener()).recovery(recovery)
                .serve(queue -> {
                    SimulationTarget target = new SimulationTarget(this, queue);
                    targets.add(target);
                    return target.completions();
                });
        log(() -> "start " + queues + " x " + depth + " with " + recovery);
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
        watch();
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
        EventLoop loop = EventLoop.start(kernel, "next process", new RingConfig(16, 32, true));
        ControlDevice control = new ControlDevice(loop, TIME_LIMIT);
        ublk.get(control.delete(0).onErrorResume(e -> e instanceof KernelException none && none.errno() == Errno.ENODEV, e -> Mono.empty()));
        settled("end of I/O after a kill", () -> applications.outstanding() == 0);
        control.close();
        loop.disposeGracefully().subscribe();
        ublk.settle();
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
            if (idle > 1000 || i > STEP_LIMIT || kernel.nanoTime() - start > TIME_LIMIT.toNanos()) {
                fail("no " + what + "; " + applications.outstanding() + " operations outstanding, " + footprint());
                check();
            }
        }
    }

    private boolean move() {
        steps++;
        return ublk.step() || kernel.skipToNextDeadline();
    }

    private void check() {
        if (failure != null) throw failure;
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

    /** Where the content is, if it is in a file. */
    MemoryFile file() {
        return file;
    }

    /** Memory until this life has ended. */
    MemorySegment memory(int bytes) {
        ownMappings++;
        return kernel.allocate(bytes, arena);
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
