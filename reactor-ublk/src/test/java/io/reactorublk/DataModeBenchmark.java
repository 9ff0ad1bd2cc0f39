package io.reactorublk;

import com.sun.management.OperatingSystemMXBean;
import io.reactorublk.target.FileTarget;
import io.reactorublk.target.StripeTarget;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/**
 * What the ways of bytes cost: the same fio jobs in every {@link DataMode}, on a file and on a stripe of four, in one run.
 *
 * <p>Of each: throughput, the time of processors that this process took for a request (its loop, its compiler, its
 * collector), and system calls of the loop per request. Not JMH, for the reason {@link DeviceBenchmark} gives.
 */
public final class DataModeBenchmark {

    private static final long DEVICE_BYTES = 256 << 20;
    private static final int DEPTH = 64;
    private static final int MEMBERS = 4;
    private static final int CHUNK_BYTES = 64 << 10;
    private static final String[] BLOCKS = {"4k", "64k", "1m"};
    private static final int SECONDS = Integer.getInteger("seconds", 3);
    /** For the compiler: each block size takes other ways through a target. */
    private static final int WARM_UP_SECONDS = 4;
    private static final int MARGIN_SECONDS = 1;
    private static final int TIMEOUT_SECONDS = 1800;
    private static final Duration LIMIT = Duration.ofSeconds(60);

    /** Enough for the buffers of all requests, wherever fio begins with them. */
    private static final long SHARED_BYTES = (DEPTH + 1) << 20;

    /** @param shared whether from memory that fio shares with the server */
    private record Way(DataMode mode, boolean shared) {

        @Override
        public String toString() {
            return shared ? mode + ", shared" : mode.toString();
        }
    }

    private static final List<Way> WAYS = Stream.concat(Stream.of(DataMode.values()).map(mode -> new Way(mode, false)),
            Stream.of(new Way(DataMode.COPY, true))).toList();

    private DataModeBenchmark() {}

    /** With "here" on this very kernel; else through {@code with-ublk}. */
    public static void main(String[] args) throws Exception {
        if (args.length > 0 && args[0].equals("here")) {
            measure(Files.createTempDirectory("modes"));
        } else {
            System.exit(DeviceBenchmark.startAsRoot(DataModeBenchmark.class, TIMEOUT_SECONDS, "-Dseconds=" + SECONDS));
        }
    }

    private static void measure(Path directory) throws Exception {
        Map<String, BlockTarget> targets = new LinkedHashMap<>();
        targets.put("file", FileTarget.of(file(directory, DEVICE_BYTES)));
        List<Path> members = new ArrayList<>();
        for (int i = 0; i < MEMBERS; i++) members.add(file(directory, DEVICE_BYTES / MEMBERS));
        targets.put("stripe", StripeTarget.of(CHUNK_BYTES, members));
        System.out.println("Linux " + System.getProperty("os.version") + ", Java " + Runtime.version());
        System.out.println("target  block  mode             MiB/s      IOPS  server us/request  enters/request");
        for (Map.Entry<String, BlockTarget> target : targets.entrySet()) {
            for (int round = 0; round < 2; round++) {                  // for the compiler, which takes its time
                for (Way way : WAYS) run(target.getKey(), target.getValue(), way, "4k", false);
            }
            for (String block : BLOCKS) {
                for (Way way : WAYS) run(target.getKey(), target.getValue(), way, block, true);
            }
        }
    }

    private static void run(String name, BlockTarget target, Way way, String block, boolean counts) throws Exception {
        DeviceBenchmark.Observer observer = new DeviceBenchmark.Observer();
        UblkServer server = UblkServer.create().size(DEVICE_BYTES).maxIoBytes(1 << 20).queueDepth(DEPTH).dataMode(way.mode)
                .listener(observer).serve(target);
        Path path = Path.of("/dev/shm/modes");
        UblkDevice device = (way.shared ? server.sharedMemory() : server).start().block(LIMIT);
        try (SharedMemory memory = SharedMemory.create(path, SHARED_BYTES)) {
            if (way.shared) device.share(memory).block(LIMIT);
            Process fio = new ProcessBuilder("fio", "--name=modes", "--filename=" + device.path(), "--rw=randrw", "--bs=" + block,
                    "--ioengine=libaio", "--direct=1", "--iodepth=" + DEPTH, "--time_based",
                    "--mem=" + (way.shared ? "mmapshared:" + path : "mmap"),
                    "--runtime=" + (WARM_UP_SECONDS + SECONDS + MARGIN_SECONDS), "--minimal")
                    .redirectOutput(ProcessBuilder.Redirect.DISCARD).redirectError(ProcessBuilder.Redirect.INHERIT).start();
            TimeUnit.SECONDS.sleep(WARM_UP_SECONDS);
            DeviceBenchmark.Counts before = observer.counts();
            long cpuBefore = cpuNanos();
            TimeUnit.SECONDS.sleep(SECONDS);
            DeviceBenchmark.Counts after = observer.counts();
            double cpu = cpuNanos() - cpuBefore;
            DeviceBenchmark.end(fio);
            double requests = after.requests() - before.requests();
            double perSecond = requests * TimeUnit.SECONDS.toNanos(1) / (after.nanos() - before.nanos());
            if (!counts) return;
            System.out.printf(Locale.ROOT, "%-6s  %5s  %-14s  %7.1f  %8.0f  %17.1f  %14.3f%n", name, block, way,
                    perSecond * bytes(block) / (1 << 20), perSecond, cpu / requests / 1000, (after.enters() - before.enters()) / requests);
        } finally {
            device.disposeLater().block(LIMIT);
            Files.delete(path);
        }
    }

    private static long bytes(String block) {
        long number = Long.parseLong(block.substring(0, block.length() - 1));
        return block.endsWith("m") ? number << 20 : number << 10;
    }

    private static long cpuNanos() {
        return ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime();
    }

    private static Path file(Path directory, long bytes) throws IOException {
        Path path = Files.createTempFile(directory, "disk", ".img");
        try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
            file.setLength(bytes);
        }
        return path;
    }
}
