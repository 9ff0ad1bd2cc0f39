package io.reactorublk.samples.mirror;

import static java.nio.file.StandardOpenOption.CREATE;
import static java.nio.file.StandardOpenOption.WRITE;

import io.reactorublk.UblkServer;
import io.reactorublk.memory.MemoryDisk;
import io.reactorublk.memory.MemoryUblk;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.EventLoop;
import io.reactorublk.uring.IoBuffer;
import io.reactorublk.uring.RingConfig;
import io.reactorublk.uring.UringFile;
import io.reactorublk.uring.memory.MemoryFile;
import io.reactorublk.uring.memory.MemoryKernel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalInt;
import java.util.SplittableRandom;
import java.util.UUID;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Some lives of one mirror: applications use it, its replicas fail and come back, its servers are stopped and killed, the
 * power fails, and somebody starts it again, with all the replicas or without some. One seed decides all of it, so a seed
 * says how it went. Throws an {@link AssertionError} when something is not as it must be.
 */
final class MirrorSimulation {

    /** What takes longer goes round in circles. */
    private static final int STEP_LIMIT = 200_000;
    private static final Duration TIME_LIMIT = Duration.ofMinutes(5);
    private static final Duration PATIENCE = Duration.ofMillis(50);
    private static final int MAX_IO_BYTES = 4 * MirrorApplications.BLOCK;
    private static final MemoryFile.Call[] CALLS = MemoryFile.Call.values();
    private static final Errno[] ERRNOS = {Errno.EIO, Errno.ENOSPC, Errno.EINVAL};

    private final SplittableRandom dice;
    private final MemoryUblk ublk;
    private final MemoryKernel kernel;
    private final MirrorApplications applications = new MirrorApplications(this);
    private final Map<String, Integer> events;
    private final @Nullable List<String> trace;
    private final List<MemoryFile> files = new ArrayList<>();
    /** Whoever starts it has given up replicas, and must not change his mind. */
    private boolean gaveUp;
    private int lastLive;
    private int quorum;
    private @Nullable ServedMirror mirror;
    private @Nullable Throwable refusal;
    /** Who does nothing wrong in this life. */
    private int good;
    private boolean faulty;
    /** Who may fail, or be short, or late. */
    private int broken;
    /** Who may have failed to sync since it was last read from its disk. */
    private int unsynced;
    private boolean ending;
    private int steps;
    private @Nullable AssertionError failure;

    /**
     * @param events counts what happened
     * @param trace told of everything, or null
     */
    MirrorSimulation(long seed, Map<String, Integer> events, @Nullable List<String> trace) {
        dice = new SplittableRandom(seed);
        ublk = MemoryUblk.create(seed);
        kernel = ublk.kernel();
        this.events = events;
        this.trace = trace;
        if (trace != null) kernel.trace(trace::add);
        if (once(2)) ublk.withoutPartitionScan();
    }

    void run() {
        create(2 + pick(2));
        for (int lives = 2 + pick(3); lives > 0; lives--) live();
        heal();
        lastLife();
        ublk.close();
    }

    private void create(int members) {
        int wanted = 1 + pick(members);
        UUID set = new UUID(dice.nextLong(), dice.nextLong());
        EventLoop loop = EventLoop.start(kernel, "creator", RingConfig.DEFAULT);
        try (Arena arena = Arena.ofShared()) {
            MemorySegment slot = kernel.allocate(ReplicaHeader.SLOT_BYTES, arena);
            for (int i = 0; i < members; i++) {
                ReplicaHeader header = ReplicaHeader.first(set, i, members, wanted, MirrorApplications.deviceBytes());
                header.encode(slot.asByteBuffer());
                UringFile file = Objects.requireNonNull(ublk.get(UringFile.open(loop, path(i), WRITE, CREATE)));
                ublk.get(file.write(IoBuffer.of(slot), header.slotOffset())
                        .then(file.allocate(0, ReplicaHeader.DATA_OFFSET + header.dataBytes()))
                        .then(file.sync()).then(file.close()));
                MemoryFile made = kernel.file(path(i).toString());
                if (once(4)) made.withoutZeroRange();
                files.add(made);
            }
            ublk.get(loop.disposeGracefully());
        }
        lastLive = (1 << members) - 1;
        log(() -> members + " replicas, quorum " + wanted);
    }

    private static Path path(int member) {
        return Path.of("/replica-" + member);
    }

    // ------------------------------------------------------------------------------------------- a life

    private void live() {
        Assembly assembly = assemble();
        List<Integer> live = members(assembly.header().live());
        good = once(4) ? -1 : live.get(pick(live.size()));
        faulty = !once(3);
        ending = false;
        if (once(2)) heal();
        if (good >= 0) heal(good);
        long[] untouched = callsOfStale(assembly);
        String before = footprint();
        if (!start(assembly)) return;
        applications.model().settled();
        compare("after the start");
        if (use()) {
            if (stop() && !footprint().equals(before)) fail("left: " + footprint() + "; before: " + before);
        } else {
            kill();
        }
        if (!Arrays.equals(callsOfStale(assembly), untouched)) fail("a stale replica was used");
        check();
    }

    /** In which everything works, and all that must be there is. */
    private void lastLife() {
        Assembly assembly = assemble();
        good = members(assembly.header().live()).getFirst();
        faulty = false;
        ending = false;
        if (!start(assembly)) fail("it does not start: " + refusal);
        check();
        applications.model().settled();
        compare("in the end");
        if (!stop()) fail("it does not end");
        check();
    }

    private String footprint() {
        return ublk.footprint() + ", mappings: " + kernel.liveMappings();
    }

    private static List<Integer> members(int bits) {
        List<Integer> members = new ArrayList<>();
        for (int i = 0; i < ReplicaHeader.MAX_MEMBERS; i++) if ((bits >> i & 1) != 0) members.add(i);
        return members;
    }

    private long[] callsOfStale(Assembly assembly) {
        long[] calls = new long[files.size()];
        for (int i = 0; i < files.size(); i++) {
            if (assembly.files().get(i) != null) continue;
            for (MemoryFile.Call call : CALLS) calls[i] += files.get(i).calls(call);
        }
        return calls;
    }

    // ------------------------------------------------------------------------------------------- who starts it

    /** Somebody looks at the replicas, forgets one perhaps, and does what he is told. */
    private Assembly assemble() {
        List<ReplicaFile> all = new ArrayList<>();
        for (int i = 0; i < files.size(); i++) all.add(look(i));
        if (!gaveUp && once(3)) {
            List<ReplicaFile> some = new ArrayList<>(all);
            some.remove(pick(some.size()));
            boolean degraded = newest(some) == newest(all) && once(2);
            try {
                Assembly assembly = Assembly.of(some, OptionalInt.empty(), degraded);
                happened(degraded ? "started without one that was given up" : "started without one");
                gaveUp = degraded;
                lastLive = assembly.header().live();
                return assembly;
            } catch (MirrorException e) {
                happened("refused without one");
                log(() -> String.valueOf(e.getMessage()));
            }
        }
        Assembly assembly;
        try {
            assembly = Assembly.of(all, OptionalInt.empty(), false);
        } catch (MirrorException e) {
            log(() -> String.valueOf(e.getMessage()));
            String message = String.valueOf(e.getMessage());
            if (!message.contains("too few for the quorum") && !message.contains("split brain")) throw e;
            happened(message.contains("split") ? "refused for a split brain" : "refused below the quorum");
            List<ReplicaFile> last = all.stream().filter(file -> (lastLive >> file.header().member() & 1) != 0).toList();
            gaveUp = true;
            assembly = Assembly.of(last, OptionalInt.of(1), true);
        }
        if (!assembly.remarks().isEmpty()) happened("started with a stale one");
        if (assembly.wasOpen()) happened("started after a crash");
        lastLive = assembly.header().live();
        return assembly;
    }

    private ReplicaFile look(int member) {
        MemoryFile file = files.get(member);
        ByteBuffer slots = ByteBuffer.wrap(file.content(0, ReplicaHeader.SLOTS * ReplicaHeader.SLOT_BYTES));
        return new ReplicaFile(path(member), member, file.size(), ReplicaHeader.newest(slots));
    }

    private static long newest(List<ReplicaFile> files) {
        return files.stream().mapToLong(file -> file.header().generation()).max().orElseThrow();
    }

    /** Whether it is served. Else it was killed meanwhile, or a replica did not let it. */
    private boolean start(Assembly assembly) {
        ServedMirror.Settings settings = new ServedMirror.Settings(1 + pick(2), 2 + pick(7), PATIENCE, once(3));
        log(() -> "start with " + MirrorSet.names(assembly.header().live()) + ", good is " + good + ", " + settings);
        mirror = null;
        refusal = null;
        quorum = assembly.header().quorum();
        lost(assembly);
        String before = footprint();
        UblkServer server = UblkServer.create().maxIoBytes(MAX_IO_BYTES).stopGrace(Duration.ofMillis(1 + pick(200)));
        ServedMirror.serve(kernel, server, assembly, settings, new Faults(), ReplicaLocks.none())
                .subscribe(served -> mirror = served, e -> refusal = e);
        for (int i = faulty && once(6) ? 1 + pick(300) : 0; i > 0 && mirror == null && refusal == null; i--) {
            if (once(40)) breakOne();
            move();
            if (i == 1) {
                happened("killed while it started");
                kill();
                return false;
            }
        }
        settled("start", () -> mirror != null || refusal != null);
        if (mirror != null) {
            if (assembly.wasOpen()) unsynced &= broken | ~assembly.header().live();
            return true;
        }
        happened("a replica did not let it start");
        log(() -> "refused: " + refusal);
        if (!anyFaults()) fail("it does not start: " + refusal);
        if (!footprint().equals(before)) fail("left: " + footprint() + "; before: " + before);
        heal();
        check();
        return false;
    }

    /** Whether it is to be stopped, rather than killed. */
    private boolean use() {
        ServedMirror used = Objects.requireNonNull(mirror);
        MemoryDisk disk = ublk.disk(used.device());
        int most = 1 + pick(once(2) ? 3 : 16);
        int end = once(4) ? pick(100) : 200 + pick(1500);
        int live = used.set().live();
        for (int i = 0; i < end; i++) {
            if (used.set().live() != live && once(3)) return diesSoon();
            live = used.set().live();
            if (applications.outstanding() < most && once(6)) {
                applications.submit(disk);
            } else if (faulty && once(300)) {
                breakOne();
            } else if (once(900)) {
                heal();
            } else {
                move();
            }
            if (applications.outstanding() == 0 && once(60)) compare("while it is used");
            check();
        }
        boolean stops = once(2);
        if (stops || once(3)) {
            settled("end of what was asked for", () -> applications.outstanding() == 0);
            compare("when all has ended");
        }
        return stops;
    }

    /** The worst moment to die: somebody has left, and perhaps it is not on the disks yet. */
    private boolean diesSoon() {
        happened("killed when somebody had left");
        for (int i = pick(20); i > 0; i--) move();
        return false;
    }

    /** Whether it ended in order. */
    private boolean stop() {
        ServedMirror stopped = Objects.requireNonNull(mirror);
        log(() -> "stop");
        ending = true;
        boolean[] ended = {false};
        stopped.stop().subscribe(nothing -> {}, e -> fail("it ended with " + e), () -> ended[0] = true);
        for (int death = faulty && once(5) ? pick(200) : 0; death > 0 && !ended[0]; death--) {
            if (once(30)) breakOne();
            move();
            if (death == 1 && !ended[0]) {
                happened("killed while it stopped");
                kill();
                return false;
            }
        }
        settled("stop", () -> ended[0]);
        settled("end of all I/O", () -> applications.outstanding() == 0);
        List<ReplicaHeader> headers = members(lastLive).stream().map(member -> look(member).header()).toList();
        ReplicaHeader last = headers.stream().max(java.util.Comparator.comparingLong(ReplicaHeader::generation)).orElseThrow();
        happened(last.open() ? "stopped, and left open" : "stopped");
        if (last.open()) {
            applications.model().killed();
        } else {
            applications.model().settled();
            lastLive = last.live();
            compareOf(last.live(), "after the end");
        }
        return true;
    }

    private void kill() {
        happened("killed");
        ending = true;
        ublk.kill();
        mirror = null;
        settled("end of I/O after a kill", () -> applications.outstanding() == 0);
        applications.model().killed();
        if (once(2)) powerCut();
    }

    /**
     * What a failed sync was to write is in the page cache, called clean, and not on the disk. If such a replica is still
     * live, who starts it reads it from there: as after a power cut, what was not durable may be gone.
     */
    private void lost(Assembly assembly) {
        if (!assembly.wasOpen() || (assembly.header().live() & unsynced) == 0) return;
        happened("started with one that could not sync");
        applications.model().powerFailed();
    }

    private void powerCut() {
        happened("power cut");
        for (MemoryFile file : files) file.crash();
        unsynced = 0;
        applications.model().powerFailed();
    }

    // ------------------------------------------------------------------------------------------- replicas

    /** One of the others has a fault from now on, or soon. */
    private void breakOne() {
        int member = pick(files.size());
        MemoryFile file = files.get(member);
        MemoryFile.Call call = CALLS[pick(CALLS.length)];
        MemoryFile.Call transfer = once(2) ? MemoryFile.Call.READ : MemoryFile.Call.WRITE;
        int way = pick(6);
        if (member == good && way < 4) way = 4 + pick(2);
        int chosen = way;
        log(() -> "fault " + chosen + " of replica " + member + " (" + call + ", " + transfer + ")");
        happened("fault " + way);
        switch (way) {
            case 0 -> file.fail(call, 1 + pick(6), ERRNOS[pick(ERRNOS.length)]);
            case 1 -> file.failAlways(call, ERRNOS[pick(ERRNOS.length)]);
            case 2 -> {
                for (MemoryFile.Call each : CALLS) file.failAlways(each, Errno.EIO);
            }
            case 3 -> file.latency(PATIENCE.multipliedBy(1 + pick(10)));
            case 4 -> file.latency(Duration.ofMillis(pick(3)));
            default -> file.shorten(transfer, (1 + pick(20)) * MirrorModel.SECTOR);
        }
        if (way < 4 || way == 5) broken |= 1 << member;
        if (way == 2 || (way < 2 && call == MemoryFile.Call.SYNC)) unsynced |= 1 << member;
    }

    private boolean anyFaults() {
        return broken != 0;
    }

    private void heal() {
        for (int i = 0; i < files.size(); i++) heal(i);
    }

    private void heal(int member) {
        log(() -> "replica " + member + " is well again");
        files.get(member).heal().latency(Duration.ZERO);
        broken &= ~(1 << member);
    }

    /** Replicas that are live, while nobody writes: they are equal, and hold what they may. */
    private void compare(String when) {
        ServedMirror served = mirror;
        if (served != null && applications.outstanding() == 0) compareOf(served.set().live(), when);
    }

    private void compareOf(int live, String when) {
        for (int area = 0; area < MirrorApplications.AREAS; area++) {
            byte[] first = null;
            for (int member : members(live)) {
                byte[] data = files.get(member).content(ReplicaHeader.DATA_OFFSET + MirrorApplications.offsetOf(area),
                        MirrorApplications.AREA_BLOCKS * MirrorApplications.BLOCK);
                if (first == null) first = data;
                int at = Arrays.mismatch(first, data);
                if (at >= 0) fail(when + ", " + MirrorSet.names(live) + " differ in area " + area + " at sector " + at / MirrorModel.SECTOR);
            }
            applications.holds(area, Objects.requireNonNull(first));
        }
        happened("compared");
    }

    // ------------------------------------------------------------------------------------------- time

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
    }

    int steps() {
        return steps;
    }

    // ------------------------------------------------------------------------------------------- for applications

    /** Whether an operation may fail now. As long as there is a good replica reads do not; nor do writes above the quorum. */
    boolean mayFail(boolean reads) {
        if (ending) return true;
        return reads ? good < 0 : !Objects.requireNonNull(mirror).set().isWritable();
    }

    /** Whether so many have left that no write may succeed any more: nobody comes back while the set is served. */
    boolean isBelowQuorum() {
        boolean below = Integer.bitCount(Objects.requireNonNull(mirror).set().live()) < quorum;
        if (below) happened("used below the quorum");
        return below;
    }

    int pick(int count) {
        return dice.nextInt(count);
    }

    boolean once(int times) {
        return dice.nextInt(times) == 0;
    }

    void fail(String what) {
        if (failure == null) failure = new AssertionError(what);
    }

    void happened(String event) {
        events.merge(event, 1, Integer::sum);
        log(() -> event);
    }

    void log(Supplier<String> event) {
        if (trace != null) trace.add(event.get());
    }
}
