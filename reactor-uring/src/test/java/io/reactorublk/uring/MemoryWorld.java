package io.reactorublk.uring;

import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.uring.abi.linux_h;
import io.reactorublk.uring.memory.MemoryKernel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;

/**
 * A world in memory: the test's thread turns the loops, and time passes when nothing else can happen.
 *
 * <p>Some contracts have threads of their own. While they are at work neither the virtual clock nor this thread can know
 * it, so a wait naps as well, and gives up by the real clock.
 */
final class MemoryWorld implements World {

    private static final String DIRECTORY = "/world";
    private static final int CPUS = 4;
    private static final long LIMIT_NANOS = 60_000_000_000L;
    /** A loop that other threads keep busy would else never see time pass. */
    private static final int STEPS_BEFORE_TIME_PASSES = 10;

    private final MemoryKernel kernel;
    private final List<Pipe> pipes = new ArrayList<>();
    private int files;

    /** What decides what happens next: nothing but order, or a seed. */
    record Chance(@Nullable Long seed) {

        /** Order, some seeds that are always the same, and a new one each time; {@code -Dseed=} replays one. */
        static Stream<Chance> all() {
            Long one = Long.getLong("seed");
            if (one != null) return Stream.of(new Chance(one));
            return Stream.of(null, 1L, 2L, 3L, ThreadLocalRandom.current().nextLong()).map(Chance::new);
        }

        MemoryWorld world() {
            return new MemoryWorld(seed == null ? MemoryKernel.create() : MemoryKernel.create(seed));
        }

        @Override
        public String toString() {
            return seed == null ? "in order" : "-Dseed=" + seed;
        }
    }

    private MemoryWorld(MemoryKernel kernel) {
        this.kernel = kernel;
        kernel.directory(DIRECTORY);
    }

    @Override
    public Kernel kernel() {
        return kernel;
    }

    @Override
    public Pipe pipe() {
        String path = namedPipe().toString();
        Pipe pipe = new Pipe(kernel.open(path, linux_h.O_RDONLY(), 0), kernel.open(path, linux_h.O_WRONLY(), 0));
        pipes.add(pipe);
        return pipe;
    }

    @Override
    public Path namedPipe() {
        Path path = freshPath();
        kernel.pipe(path.toString());
        return path;
    }

    @Override
    public Path freshPath() {
        return Path.of(DIRECTORY, "file-" + files++);
    }

    @Override
    public Path file(byte[] content) {
        Path path = freshPath();
        kernel.file(path.toString(), content);
        return path;
    }

    @Override
    public byte[] content(Path file) {
        return kernel.file(file.toString()).content();
    }

    @Override
    public Path directory() {
        return Path.of(DIRECTORY);
    }

    @Override
    public Path sharedPath() {
        return Path.of("/dev/shm/file-" + files++);
    }

    @Override
    public Path fileWithoutDirect() {
        Path path = freshPath();
        kernel.file(path.toString()).withoutDirect();
        return path;
    }

    @Override
    public Path fileWithoutZeroRange() {
        Path path = freshPath();
        kernel.file(path.toString()).withoutZeroRange();
        return path;
    }

    @Override
    public void await(BooleanSupplier condition) {
        long start = System.nanoTime();
        for (int steps = 1; !condition.getAsBoolean(); steps++) {
            if (kernel.step() && steps % STEPS_BEFORE_TIME_PASSES != 0) continue;
            if (kernel.skipToNextDeadline()) continue;
            assertThat(System.nanoTime() - start).as("ns of waiting").isLessThan(LIMIT_NANOS);
            Thread.onSpinWait();
        }
    }

    @Override
    public void settle() {
        kernel.settle();
    }

    @Override
    public <T> T get(Mono<T> mono) {
        AtomicReference<@Nullable T> value = new AtomicReference<>();
        AtomicReference<@Nullable Throwable> error = new AtomicReference<>();
        AtomicBoolean ended = new AtomicBoolean();
        mono.subscribe(value::set, e -> {
            error.set(e);
            ended.set(true);
        }, () -> ended.set(true));
        await(ended::get);
        Throwable failure = error.get();
        if (failure != null) throw reactor.core.Exceptions.propagate(failure);
        return value.get();
    }

    @Override
    public BitSet affinity(EventLoop loop) {
        BitSet bound = kernel.affinity(loop.name());
        if (bound.isEmpty()) bound.set(0, CPUS);
        return bound;
    }

    @Override
    public long descriptors() {
        return kernel.openDescriptors();
    }

    @Override
    public void close() {
        for (Pipe pipe : pipes) {
            kernel.close(pipe.reader());
            kernel.close(pipe.writer());
        }
        assertThat(kernel.openDescriptors()).as("descriptors left open").isZero();
    }
}
