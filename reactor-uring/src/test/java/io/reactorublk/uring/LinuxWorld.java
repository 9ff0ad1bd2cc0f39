package io.reactorublk.uring;

import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.uring.abi.linux_h;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.awaitility.Awaitility;
import reactor.core.publisher.Mono;

/** This machine: its kernel, and a directory of the build, where a file system of the ordinary kind is to be expected. */
final class LinuxWorld implements World {

    /** The folder for their files, if not Maven's. */
    static final String WORLDS = "reactor-uring.worlds";

    private static final Duration LIMIT = Duration.ofSeconds(60);

    private final Path directory;
    private final List<Pipe> pipes = new ArrayList<>();
    private final List<Path> elsewhere = new ArrayList<>();
    private int files;

    LinuxWorld() {
        try {
            directory = Files.createTempDirectory(Files.createDirectories(Path.of(System.getProperty(WORLDS, "target")).toAbsolutePath()), "world");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public Kernel kernel() {
        return Kernel.linux();
    }

    /** A named one: Kernel has no pipe(2), because nobody but these tests would call it. */
    @Override
    public Pipe pipe() {
        String path = namedPipe().toString();
        int both = kernel().open(path, linux_h.O_RDWR(), 0);           // or the two below would wait for one another
        int reader = kernel().open(path, linux_h.O_RDONLY(), 0);
        int writer = kernel().open(path, linux_h.O_WRONLY(), 0);
        kernel().close(both);
        Pipe pipe = new Pipe(reader, writer);
        pipes.add(pipe);
        return pipe;
    }

    @Override
    public Path namedPipe() {
        Path path = freshPath();
        try {
            Process mkfifo = new ProcessBuilder("mkfifo", path.toString()).inheritIO().start();
            assertThat(mkfifo.waitFor(LIMIT.toSeconds(), TimeUnit.SECONDS)).isTrue();
            assertThat(mkfifo.exitValue()).isZero();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
        return path;
    }

    @Override
    public Path freshPath() {
        return directory.resolve("file-" + files++);
    }

    @Override
    public Path file(byte[] content) {
        try {
            return Files.write(freshPath(), content);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public byte[] content(Path file) {
        try {
            return Files.readAllBytes(file);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public Path directory() {
        return directory;
    }

    @Override
    public Path fileWithoutDirect() {
        return Path.of("/proc/version");
    }

    /** On tmpfs. */
    @Override
    public Path fileWithoutZeroRange() {
        try {
            Path file = Files.createTempFile(Path.of("/dev/shm"), "reactor-uring", "");
            elsewhere.add(file);
            return file;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public Path sharedPath() {
        Path file = fileWithoutZeroRange();
        try {
            Files.delete(file);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return file;
    }

    @Override
    public void await(BooleanSupplier condition) {
        Awaitility.await().atMost(LIMIT)
                .pollDelay(Duration.ZERO).pollInterval(Duration.ofMillis(2)).until(condition::getAsBoolean);
    }

    /** A while, for what must not happen: too short a while lets a wrong program pass, never a right one fail. */
    @Override
    public void settle() {
        try {
            Thread.sleep(20);
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    @Override
    public <T> T get(Mono<T> mono) {
        return mono.block(LIMIT);
    }

    /** Read by the loop's own thread: looked for by name, one that has just started has none yet. */
    @Override
    public BitSet affinity(EventLoop loop) {
        return get(Mono.fromCallable(() -> allowed(Files.readAllLines(Path.of("/proc/thread-self/status")))).subscribeOn(loop));
    }

    /** {@code Cpus_allowed_list: 0-3,7}. */
    private static BitSet allowed(List<String> status) {
        String key = "Cpus_allowed_list:";
        String list = status.stream().filter(line -> line.startsWith(key)).findFirst().orElseThrow().substring(key.length()).strip();
        BitSet cpus = new BitSet();
        for (String range : list.split(",", -1)) {
            String[] ends = range.split("-", -1);
            cpus.set(Integer.parseInt(ends[0]), Integer.parseInt(ends[ends.length - 1]) + 1);
        }
        return cpus;
    }

    @Override
    public long descriptors() {
        try (Stream<Path> open = Files.list(Path.of("/proc/self/fd"))) {
            return open.count();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public void close() {
        for (Pipe pipe : pipes) {
            kernel().close(pipe.reader());
            kernel().close(pipe.writer());
        }
        try (Stream<Path> all = Files.walk(directory)) {
            for (Path path : elsewhere) Files.deleteIfExists(path);
            for (Path path : all.sorted(Comparator.reverseOrder()).toList()) Files.delete(path);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
