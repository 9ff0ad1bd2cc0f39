package io.reactorublk;

import io.reactorublk.memory.MemoryUblk;
import io.reactorublk.uring.Kernel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ThreadLocalRandom;
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

        MemoryUblk ublk() {
            return seed == null ? MemoryUblk.create() : MemoryUblk.create(seed);
        }

        MemoryDevices devices() {
            return new MemoryDevices(ublk());
        }

        @Override
        public String toString() {
            return seed == null ? "in order" : "-Dseed=" + seed;
        }
    }

    private static final long LIMIT_NANOS = Duration.ofSeconds(20).toNanos();
    /** For other threads to do their part: a test may use some, and their time is not ours. */
    private static final int PAUSES = 4;
    private static final Duration LONGEST_STEP = Duration.ofSeconds(1);

    private final MemoryUblk ublk;
    private int files;

    MemoryDevices(MemoryUblk ublk) {
        this.ublk = ublk;
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
        UblkDevice device = get(server.kernel(kernel()).serve(new KeptDisk(content, true)).start());
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
            ublk.advanceTime(step);
            if (step.compareTo(LONGEST_STEP) < 0) step = step.multipliedBy(2);
        }
    }

    private boolean isSoon(BooleanSupplier condition) {
        for (int pause = 0; pause < PAUSES; pause++) {
            ublk.settle();
            if (condition.getAsBoolean()) return true;
            pause();
        }
        return false;
    }

    @Override
    public void settle() {
        for (int pause = 0; pause < PAUSES; pause++) {
            ublk.settle();
            pause();
        }
    }

    @Override
    public void elapse(Duration time) {
        ublk.advanceTime(time);
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
    public String footprint() {
        return ublk.footprint();
    }

    @Override
    public void close() {
        ublk.close();
    }
}
