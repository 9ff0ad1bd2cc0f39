package io.reactorublk;

import io.reactorublk.uring.EventLoop;
import io.reactorublk.uring.Kernel;
import io.reactorublk.uring.RingConfig;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.BooleanSupplier;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.awaitility.Awaitility;
import reactor.core.publisher.Mono;

/** This machine's kernel and its block devices. */
final class LinuxDevices implements DeviceFixture {

    static final Duration LIMIT = Duration.ofSeconds(60);

    private static final Path DEV = Path.of("/dev");
    private static final Path PROCESS = Path.of("/proc/self");
    private static final Pattern DEVICE = Pattern.compile("ublk[bc]\\d+(p\\d+)?");
    private static final Pattern OURS = Pattern.compile("/dev/ublk[-\\w]*|io_uring|eventfd");

    private final List<Path> files = new ArrayList<>();
    private final List<Path> shared = new ArrayList<>();

    @Override
    public Kernel kernel() {
        return Kernel.linux();
    }

    @Override
    public boolean hasThreads() {
        return true;
    }

    @Override
    public Disk open(int id) {
        return new LinuxDisk(Path.of("/dev/ublkb" + id));
    }

    @Override
    public Victim startVictim(UblkServer server) {
        return VictimProcess.start(server);
    }

    @Override
    public void await(BooleanSupplier condition) {
        Awaitility.await().atMost(LIMIT).pollDelay(Duration.ZERO).pollInterval(Duration.ofMillis(2))
                .until(condition::getAsBoolean);
    }

    /** A while, for what must not happen: too short a while lets a wrong program pass, never a right one fail. */
    @Override
    public void settle() {
        elapse(Duration.ofMillis(100));
    }

    @Override
    public void awaitInFlight(int id, int count) {
        await(() -> sum(Path.of("/sys/block/ublkb" + id, "inflight"), 0, 1) >= count);
    }

    /** How many reads and writes of a device are done, of the block layer's own counting: {@code Documentation/block/stat.rst}. */
    long completed(Path device) {
        return sum(Path.of("/sys/block").resolve(device.getFileName()).resolve("stat"), 0, 4);
    }

    private static long sum(Path statistics, int reads, int writes) {
        try {
            String[] fields = Files.readString(statistics).strip().split("\\s+", -1);
            return Long.parseLong(fields[reads]) + Long.parseLong(fields[writes]);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public void elapse(Duration time) {
        try {
            Thread.sleep(time);
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    @Override
    public <T> T get(Mono<T> mono) {
        return mono.block(LIMIT);
    }

    @Override
    public <T> T get(CompletableFuture<T> operation) {
        try {
            return operation.orTimeout(LIMIT.toSeconds(), TimeUnit.SECONDS).join();
        } catch (CompletionException e) {
            if (e.getCause() instanceof TimeoutException) throw new AssertionError("an operation of a disk hangs", e);
            if (e.getCause() instanceof RuntimeException cause) throw cause;
            throw e;
        }
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
    public Path pipe() {
        Path path = freshPath();
        Shell.succeed("mkfifo", path.toString());
        return path;
    }

    @Override
    public Path sharedPath() {
        Path path = Path.of("/dev/shm/reactor-ublk-" + ProcessHandle.current().pid() + "-" + shared.size());
        shared.add(path);
        return path;
    }

    private Path freshPath() {
        try {
            Path path = Files.createTempDirectory("reactor-ublk").resolve("file");
            files.add(path);
            return path;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** {@code DEL_DEV} and {@code close(2)} of a ring return before the last thread of them is gone: to be awaited. */
    @Override
    public String footprint() {
        TreeMap<String, Integer> found = new TreeMap<>();
        try (Stream<Path> nodes = Files.list(DEV); Stream<Path> open = Files.list(PROCESS.resolve("fd"))) {
            nodes.map(node -> node.getFileName().toString()).filter(name -> DEVICE.matcher(name).matches())
                    .forEach(name -> found.merge("node " + name, 1, Integer::sum));
            open.forEach(fd -> ours(linkOf(fd)).forEach(name -> found.merge("descriptor " + name, 1, Integer::sum)));
            Files.readAllLines(PROCESS.resolve("maps")).forEach(line ->
                    ours(line).forEach(name -> found.merge("mapping " + name, 1, Integer::sum)));
            Files.readAllLines(PROCESS.resolve("status")).stream()
                    .filter(line -> line.startsWith("VmLck") && !line.endsWith(" 0 kB"))
                    .forEach(line -> found.put("locked " + line.replaceAll("\\s+", " "), 1));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        for (Thread thread : threads()) {
            if (thread.getName().startsWith("ublk-")) found.merge("thread " + thread.getName(), 1, Integer::sum);
        }
        return found.toString();
    }

    /** {@code Cpus_allowed_list: 0-3,7} of the thread that the kernel knows by this name. */
    @Override
    public BitSet affinity(String thread) {
        try (Stream<Path> threads = Files.list(PROCESS.resolve("task"))) {
            for (Path task : threads.toList()) {
                List<String> status = statusOf(task);
                if (status.contains("Name:\t" + thread)) return cpus(status);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        throw new AssertionError("no thread is called " + thread);
    }

    private static List<String> statusOf(Path task) throws IOException {
        try {
            return Files.readAllLines(task.resolve("status"));
        } catch (IOException e) {
            if (Files.exists(task)) throw e;
            return List.of(); // it has ended since it was listed
        }
    }

    private static BitSet cpus(List<String> status) {
        String list = status.stream().filter(line -> line.startsWith("Cpus_allowed_list:")).findFirst().orElseThrow();
        BitSet cpus = new BitSet();
        for (String range : list.substring(list.indexOf(':') + 1).strip().split(",", -1)) {
            String[] ends = range.split("-", -1);
            cpus.set(Integer.parseInt(ends[0]), Integer.parseInt(ends[ends.length - 1]) + 1);
        }
        return cpus;
    }

    private static Set<Thread> threads() {
        return Thread.getAllStackTraces().keySet();
    }

    private static Stream<String> ours(String text) {
        return OURS.matcher(text).results().map(match -> match.group());
    }

    private static String linkOf(Path fd) {
        try {
            return Files.readSymbolicLink(fd).toString();
        } catch (IOException closed) {
            return "";
        }
    }

    /** Deletes a device whose server has died: its number stays taken until somebody does. */
    void delete(int id) {
        EventLoop loop = EventLoop.start(kernel(), "ublk-test", new RingConfig(8, 16, true));
        ControlDevice control = get(Mono.fromSupplier(() -> new ControlDevice(loop, LIMIT, ControlListener.NONE)).subscribeOn(loop));
        get(control.delete(id));
        control.close();
        get(loop.disposeGracefully());
    }

    @Override
    public void close() {
        try {
            for (Path file : files) {
                Files.deleteIfExists(file);
                Files.delete(file.getParent());
            }
            for (Path path : shared) Files.deleteIfExists(path);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
