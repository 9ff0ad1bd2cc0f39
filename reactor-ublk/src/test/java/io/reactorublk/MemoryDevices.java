package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.memory.MemoryUblk;
import io.reactorublk.uring.Kernel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.time.Duration;
import java.util.BitSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;

/** A kernel in memory and its disks. */
final class MemoryDevices implements DeviceFixture {

    /** What decides what happens next: nothing but order, or a seed. */
    record Chance(@Nullable Long seed) {

        /** Order, some seeds that are always the same, and a new one each time; {@code -Dseed=} replays one. */
        static Stream<Chance> all() {
            Long one = Long.getLong("seed");
            if (one != null) return Stream.of(new Chance(one));
            return Stream.of(null, 1L, 2L, 3L, ThreadLocalRandom.current().nextLong()).map(Chance::new);
        }

        /** Order, and a new seed: for what another class has asked all of them. */
        static Stream<Chance> some() {
            return Long.getLong("seed") != null ? all() : Stream.of(null, ThreadLocalRandom.current().nextLong()).map(Chance::new);
        }

        MemoryUblk ublk() {
            return seed == null ? MemoryUblk.create() : MemoryUblk.create(seed);
        }

        MemoryDevices unprivilegedDevices() {
            return devices().withoutPrivileges();
        }

        MemoryDevices devices() {
            return new MemoryDevices(ublk());
        }

        @Override
        public String toString() {
            return seed == null ? "in order" : "-Dseed=" + seed;
        }
    }

    /** Of a {@link MemoryUblk} that nobody has told otherwise. */
    private static final int CPUS = 4;
    private static final long LIMIT_NANOS = Duration.ofSeconds(20).toNanos();
    /** For other threads to do their part: a test may use some, and their time is not ours. */
    private static final int PAUSES = 4;
    private static final Duration LONGEST_STEP = Duration.ofSeconds(1);

    private final MemoryUblk ublk;
    private boolean privileged = true;
    private @Nullable String expectedBreach;
    private int files;

    MemoryDevices(MemoryUblk ublk) {
        this.ublk = ublk;
    }

    MemoryDevices withoutPrivileges() {
        privileged = false;
        ublk.withoutPrivileges();
        return this;
    }

    @Override
    public boolean isPrivileged() {
        return privileged;
    }

    @Override
    public Kernel kernel() {
        return ublk.kernel();
    }

    @Override
    public boolean hasThreads() {
        return false;
    }

    @Override
    public Disk open(int id) {
        return new OpenMemoryDisk(ublk.disk(id));
    }

    @Override
    public Victim startVictim(UblkServer server) {
        MemorySegment content = Arena.ofAuto().allocate(DeviceContract.DEVICE_BYTES);
        AtomicBoolean holds = new AtomicBoolean();
        UblkDevice device = get(server.kernel(kernel()).serve(new KeptDisk(content, () -> holds.set(true))).start());
        return new Victim() {
            @Override
            public int id() {
                return device.id();
            }

            @Override
            public MemorySegment content() {
                return content;
            }

            @Override
            public void awaitHeld() {
                await(holds::get);
            }

            @Override
            public void kill() {
                ublk.kill();
            }
        };
    }

    /** Moves the clock only if nothing else helps. */
    @Override
    public void await(BooleanSupplier condition) {
        long start = System.nanoTime();
        Duration step = Duration.ofMillis(1);
        while (!isSoon(condition)) {
            if (System.nanoTime() - start > LIMIT_NANOS) throw new IllegalStateException("it never is so; there is " + ublk);
            elapse(step);
            if (step.compareTo(LONGEST_STEP) < 0) step = step.multipliedBy(2);
        }
    }

    private boolean isSoon(BooleanSupplier condition) {
        for (int pause = 0; pause < PAUSES; pause++) {
            watched(ublk::settle);
            if (condition.getAsBoolean()) return true;
            pause();
        }
        return false;
    }

    @Override
    public void settle() {
        for (int pause = 0; pause < PAUSES; pause++) {
            watched(ublk::settle);
            pause();
        }
    }

    /** What could be given to it has been. */
    @Override
    public void awaitInFlight(int id, int count) {
        settle();
    }

    @Override
    public void elapse(Duration time) {
        watched(() -> ublk.advanceTime(time));
    }

    @Override
    public void expectBreach(String words) {
        expectedBreach = words;
    }

    private void watched(Runnable moves) {
        try {
            moves.run();
        } catch (AssertionError breach) {
            if (expectedBreach == null || !breach.getMessage().contains(expectedBreach)) throw breach;
        }
    }

    private static void pause() {
        try {
            Thread.sleep(1);
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    @Override
    public <T> T get(Mono<T> mono) {
        return get(mono.toFuture());
    }

    @Override
    public <T> T get(CompletableFuture<T> operation) {
        await(operation::isDone);
        try {
            return operation.join();
        } catch (CompletionException e) {
            if (e.getCause() instanceof RuntimeException cause) throw cause;
            throw e;
        }
    }

    @Override
    public Path file(byte[] content) {
        Path path = Path.of("/file" + files++);
        ublk.kernel().file(path.toString(), content);
        return path;
    }

    @Override
    public byte[] content(Path file) {
        return ublk.kernel().file(file.toString()).content();
    }

    @Override
    public Path pipe() {
        Path path = Path.of("/pipe" + files++);
        ublk.kernel().pipe(path.toString());
        return path;
    }

    @Override
    public Path sharedPath() {
        return Path.of("/dev/shm/file" + files++);
    }

    @Override
    public BitSet affinity(String loop) {
        BitSet bound = ublk.kernel().affinity(loop);
        if (bound.isEmpty()) bound.set(0, CPUS);
        return bound;
    }

    @Override
    public String footprint() {
        watched(ublk::settle);
        return ublk.footprint();
    }

    @Override
    public void close() {
        watched(ublk::close);
        String words = expectedBreach;
        if (words != null) assertThat(ublk.breaches()).isNotEmpty().allMatch(breach -> breach.contains(words));
    }
}
