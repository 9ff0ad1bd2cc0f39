package io.reactorublk;

import io.reactorublk.memory.MemoryDisk;
import io.reactorublk.memory.MemoryUblk;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.EventLoop;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.RingConfig;
import io.reactorublk.uring.memory.MemoryKernel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
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

    private final SplittableRandom dice;
    private final MemoryUblk ublk;
    private final MemoryKernel kernel;
    private final SimulationApplications applications = new SimulationApplications(this, BLOCKS);
    private final byte[] content = new byte[BLOCKS * ModelDisk.BLOCK];
    private final Map<String, Integer> events;
    private final List<String> trace;
    private final List<SimulationTarget> targets = new ArrayList<>();
    boolean faulty;
    private EventLoop elsewhere;
    private UblkDevice device;
    private MemoryDisk disk;
    private boolean quiesces;
    private boolean mayFail;
    private boolean served;
    private boolean startFailed;
    private boolean gone;
    private int depth;
    private int steps;
    private AssertionError failure;

    /**
     * @param events counts what happened
     * @param trace told of everything, or null
     */
    Simulation(long seed, Map<String, Integer> events, List<String> trace) {
        dice = new SplittableRandom(seed);
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
        String footprint = footprint();
        start();
        if (device != null) {
            if (use()) {
                stop();
            } else {
                kill();
            }
        }
        served = false;
        applications.serverGone();
        targets.clear();
        settled("end of all I/O", () -> applications.outstanding() == 0);
        if (!footprint.equals(footprint())) fail("left: " + footprint() + "; before: " + footprint);
        elsewhere.disposeGracefully().subscribe();
        ublk.settle();
        check();
    }

    private String footprint() {
        return ublk.footprint() + ", mappings: " + kernel.liveMappings();
    }

    // ------------------------------------------------------------------------------------------- a life

    private void start() {
        faulty = !once(3);
        quiesces = once(2);
        mayFail = startFailed = gone = false;
        served = true;
        device = null;
        depth = once(3) ? 2 + pick(3) : 2 + pick(63);
        int queues = 1 + pick(2);
        UblkServer server = UblkServer.create().kernel(kernel).size(content.length).queues(queues).queueDepth(depth)
                .maxIoBytes(MAX_IO_BYTES).maxDiscardBytes(MAX_IO_BYTES).maxWriteZeroesBytes(MAX_IO_BYTES)
                .stopGrace(Duration.ofMillis(1 + pick(200))).listener(new Listener())
                .serve(queue -> {
                    SimulationTarget target = new SimulationTarget(this, queue);
                    targets.add(target);
                    return target.completions();
                });
        log(() -> "start " + queues + " x " + depth);
        String before = footprint();
        Disposable starting = server.start().subscribe(started -> device = started, e -> startFailed = true);
        boolean unwanted = once(8);
        for (int i = unwanted ? pick(120) : 0; i > 0 && device == null && move(); i--) check();
        if (unwanted && device == null && once(2)) {
            kill();
            return;
        }
        if (unwanted && device == null) {
            starting.dispose();
            happened("start cancelled");
            settled("end of a start that was cancelled", () -> footprint().equals(before));
            return;
        }
        settled("start", () -> device != null || startFailed);
        if (startFailed) fail("the device did not start");
        disk = ublk.disk(device);
        device.onDispose().subscribe(nothing -> {}, e -> fail("a queue failed: " + e), () -> gone = true);
    }

    /** Whether it is to be stopped, rather than killed. */
    private boolean use() {
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
        boolean stops = !once(6);
        if (quiesces && stops) moved("end of what was asked for", () -> applications.outstanding() == 0);
        return stops;
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

    private void kill() {
        happened(device == null ? "killed while it started" : device.isDisposed() ? "killed while it stopped" : "killed");
        mayFail();
        ublk.kill();
        served = false;
        elsewhere = EventLoop.start(kernel, "elsewhere", new RingConfig(8, 16, false));
        settled("end of I/O after a kill", () -> applications.outstanding() == 0);
        EventLoop loop = EventLoop.start(kernel, "next process", new RingConfig(16, 32, true));
        ControlDevice control = new ControlDevice(loop, TIME_LIMIT);
        ublk.get(control.delete(0).onErrorResume(e -> e instanceof KernelException none && none.errno() == Errno.ENODEV, e -> Mono.empty()));
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
                fail("no " + what + "; " + applications.outstanding() + " operations outstanding, " + ublk);
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
        return mayFail;
    }

    boolean isServed() {
        return served;
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
