package io.reactorublk;

import io.reactorublk.target.NullTarget;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.stream.Stream;
import reactor.core.publisher.Flux;

/**
 * What a device costs this process, and how long many of them take to come and go: so many devices at once, each of which is
 * read from, next to none.
 *
 * <p>For each way to serve: threads of the JVM, workers of io_uring, descriptors, mappings of memory, resident and locked memory, each as the difference
 * divided by the number of devices; and the time to start all, to read a block of each, and to remove all. Only the times
 * depend on the machine.
 *
 * <p>Not JMH: {@link #main} starts itself again as root on a kernel that has ublk.
 */
public final class ManyDevicesBenchmark {

    private static final int DEVICES = Integer.getInteger("devices", 64);
    /** Only those whose name has this in it. */
    private static final String WAY = System.getProperty("way", "");
    private static final int AT_ONCE = 8;
    private static final int BLOCK = 4096;
    private static final Duration LIMIT = Duration.ofMinutes(10);
    private static final int TIMEOUT_SECONDS = 1800;

    private record Way(String name, UblkServer server) {}

    private static final UblkControl CONTROL = UblkControl.create();

    private static final UblkServer SMALL = UblkServer.create().size(1 << 20).withoutPartitionScan().serve(new NullTarget());
    private static final List<Way> WAYS = List.of(
            new Way("1 queue, depth 128, 512 KiB (the defaults)", SMALL),
            new Way("1 queue, depth 32, 64 KiB", SMALL.queueDepth(32).maxIoBytes(64 << 10)),
            new Way("1 queue, depth 32, 64 KiB, one control thread for all", SMALL.queueDepth(32).maxIoBytes(64 << 10).control(CONTROL)),
            new Way("2 queues, 2 loops, depth 32, 64 KiB", SMALL.queues(2).queueDepth(32).maxIoBytes(64 << 10)),
            new Way("2 queues, 1 loop, depth 32, 64 KiB", SMALL.queues(2).loops(1).queueDepth(32).maxIoBytes(64 << 10)),
            new Way("1 queue, depth 32, LATE_COPY, one control thread for all",
                    SMALL.queueDepth(32).dataMode(DataMode.LATE_COPY).control(CONTROL)));

    private ManyDevicesBenchmark() {}

    /** With "here" on this very kernel; else through {@code with-ublk}. */
    public static void main(String[] args) throws Exception {
        if (args.length > 0 && args[0].equals("here")) {
            measure();
        } else {
            System.exit(DeviceBenchmark.startAsRoot(ManyDevicesBenchmark.class, TIMEOUT_SECONDS, "-Ddevices=" + DEVICES, "-Dway=" + WAY));
        }
    }

    private static void measure() throws IOException {
        serve(SMALL.queueDepth(2).maxIoBytes(BLOCK), 2 * AT_ONCE);     // classes, and pools' threads
        System.out.println("Linux " + System.getProperty("os.version") + ", Java " + Runtime.version() + ", " + DEVICES + " devices");
        System.out.println("threads  workers   fds  mappings  resident KiB  locked KiB  start ms  read ms  remove ms");
        Objects.requireNonNull(CONTROL.features().block(LIMIT));       // its thread belongs to no device
        for (Way way : WAYS) {
            if (way.name.contains(WAY)) System.out.println(serve(way.server, DEVICES) + "  " + way.name);
        }
    }

    /** The times are of all devices, divided by their number; so many start at once. */
    private static String serve(UblkServer server, int count) throws IOException {
        Footprint before = Footprint.now();
        long start = System.nanoTime();
        List<UblkDevice> devices = Objects.requireNonNull(
                Flux.range(0, count).flatMap(i -> server.start(), AT_ONCE).collectList().block(LIMIT));
        long started = System.nanoTime();
        for (UblkDevice device : devices) read(device.path());
        long read = System.nanoTime();
        Footprint with = Footprint.now();
        long leaving = System.nanoTime();
        Flux.fromIterable(devices).flatMap(UblkDevice::disposeLater, AT_ONCE).then().block(LIMIT);
        long gone = System.nanoTime();
        return with.minus(before).each(count) + String.format(Locale.ROOT, "  %8.1f  %7.1f  %9.1f",
                millis(started - start, count), millis(read - started, count), millis(gone - leaving, count));
    }

    private static double millis(long nanos, int count) {
        return nanos / 1e6 / count;
    }

    private static void read(Path path) throws IOException {
        try (FileChannel disk = FileChannel.open(path)) {
            if (disk.read(ByteBuffer.allocate(BLOCK), 0) != BLOCK) throw new AssertionError("a short read of " + path);
        }
    }

    /** What this process has of the machine. */
    private record Footprint(long threads, long workers, long descriptors, long mappings, long residentKib, long lockedKib) {

        static Footprint now() throws IOException {
            List<String> status = Files.readAllLines(Path.of("/proc/self/status"));
            long workers = countWorkers();
            return new Footprint(entries("task") - workers, workers, entries("fd"), Files.readAllLines(Path.of("/proc/self/maps")).size(),
                    kib(status, "VmRSS:"), kib(status, "VmLck:"));
        }

        /** Which the kernel makes for a ring when commands wait in it, and ends after 5 s without any. */
        private static long countWorkers() throws IOException {
            try (Stream<Path> tasks = Files.list(Path.of("/proc/self/task"))) {
                return tasks.filter(task -> {
                    try {
                        return Files.readString(task.resolve("comm")).startsWith("iou-");
                    } catch (IOException ended) {
                        return false;
                    }
                }).count();
            }
        }

        private static long entries(String what) throws IOException {
            try (Stream<Path> entries = Files.list(Path.of("/proc/self", what))) {
                return entries.count();
            }
        }

        private static long kib(List<String> status, String key) {
            String line = status.stream().filter(l -> l.startsWith(key)).findFirst().orElseThrow();
            return Long.parseLong(line.replaceAll("\\D", ""));
        }

        Footprint minus(Footprint other) {
            return new Footprint(threads - other.threads, workers - other.workers, descriptors - other.descriptors, mappings - other.mappings,
                    residentKib - other.residentKib, lockedKib - other.lockedKib);
        }

        String each(double count) {
            return String.format(Locale.ROOT, "%7.1f  %7.1f  %4.1f  %8.1f  %12.0f  %10.0f", threads / count, workers / count, descriptors / count, mappings / count,
                    residentKib / count, lockedKib / count);
        }
    }
}
