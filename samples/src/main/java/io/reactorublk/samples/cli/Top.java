package io.reactorublk.samples.cli;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.IntFunction;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;

/**
 * What devices do. The counters of the block layer count for any server, as {@code Documentation/block/stat.rst} says; a server of
 * ours tells more, see {@link Activity}. Each look tells what has happened since the one before.
 */
final class Top implements AutoCloseable {

    static final List<String> HEADING = List.of("DEVICE", "QUEUE", "READ/s", "READ B/s", "WRITE/s", "WRITE B/s", "DISCARD/s", "FLUSH/s",
            "IN FLIGHT", "FAILED/s", "P50", "P99", "P99.9", "TAGS", "FETCH", "COMMIT", "STARVED/s");

    private static final String PREFIX = "ublkb";
    private static final int SECTOR_BYTES = 512;
    private static final double NANOS_PER_SECOND = 1e9;
    /** A server that stands still says nothing. */
    private static final Duration PATIENCE = Duration.ofSeconds(1);

    private static final int READS = 0;
    private static final int READ_SECTORS = 2;
    private static final int WRITES = 4;
    private static final int WRITE_SECTORS = 6;
    private static final int IN_FLIGHT = 8;
    private static final int DISCARDS = 11;
    private static final int FLUSHES = 15;

    /**
     * A device between two looks. Its names are a promise to scripts.
     *
     * @param inFlight what its users have asked for and not got yet, wherever it is
     * @param all its queues together, and each of them, if its server tells
     */
    record Device(int id, String path, long nanos, long reads, long readBytes, long writes, long writeBytes, long discards, long flushes,
            long inFlight, @Nullable Activity all, List<Activity> queues) {}

    private final Path devices;
    private final IntFunction<Optional<Watch>> servers;
    private final Map<Integer, Watch> watched = new HashMap<>();
    private Map<Integer, long[]> last = new HashMap<>();
    private long lastNanos;

    /**
     * @param devices {@code /sys/block}
     * @param servers how to find who serves a device
     */
    Top(Path devices, IntFunction<Optional<Watch>> servers) {
        this.devices = devices;
        this.servers = servers;
    }

    /**
     * Each device that was there at the last look too; one whose counters have gone back is another one.
     *
     * @param nanos the time
     */
    List<Device> look(long nanos) throws IOException {
        Map<Integer, long[]> now = counters();
        Map<Integer, List<Activity>> told = ask(now.keySet());
        List<Device> looked = new ArrayList<>();
        now.forEach((id, is) -> {
            long[] was = last.get(id);
            if (was == null || is[READS] < was[READS] || is[WRITES] < was[WRITES]) return;
            looked.add(device(id, nanos - lastNanos, was, is, told.getOrDefault(id, List.of())));
        });
        last = now;
        lastNanos = nanos;
        return looked;
    }

    private static Device device(int id, long nanos, long[] was, long[] is, List<Activity> told) {
        return new Device(id, "/dev/" + PREFIX + id, nanos, is[READS] - was[READS], (is[READ_SECTORS] - was[READ_SECTORS]) * SECTOR_BYTES,
                is[WRITES] - was[WRITES], (is[WRITE_SECTORS] - was[WRITE_SECTORS]) * SECTOR_BYTES, is[DISCARDS] - was[DISCARDS],
                is[FLUSHES] - was[FLUSHES], is[IN_FLIGHT], told.isEmpty() ? null : told.getFirst(), told.stream().skip(1).toList());
    }

    /** All at once, as each may take its time. Who does not answer is looked for again the next time, for it may be another one then. */
    private Map<Integer, List<Activity>> ask(Set<Integer> ids) {
        for (int id : ids) if (!watched.containsKey(id)) servers.apply(id).ifPresent(server -> watched.put(id, server));
        Map<Integer, List<Activity>> told = Flux.fromIterable(List.copyOf(watched.entrySet()))
                .flatMap(server -> Mono.fromCallable(server.getValue()::look)
                        .subscribeOn(Schedulers.boundedElastic())
                        .timeout(PATIENCE, Mono.just(List.of()))
                        .map(activities -> Map.entry(server.getKey(), activities)))
                .collectMap(Map.Entry::getKey, Map.Entry::getValue)
                .blockOptional().orElseThrow();
        told.forEach((id, activities) -> {
            if (activities.isEmpty() || !ids.contains(id)) Objects.requireNonNull(watched.remove(id)).close();
        });
        return told;
    }

    @Override
    public void close() {
        watched.values().forEach(Watch::close);
    }

    private Map<Integer, long[]> counters() throws IOException {
        Map<Integer, long[]> counters = new TreeMap<>();
        List<Path> found;
        try (Stream<Path> all = Files.list(devices)) {
            found = all.filter(device -> device.getFileName().toString().matches(PREFIX + "\\d+")).toList();
        }
        for (Path device : found) {
            try {
                String[] numbers = Files.readString(device.resolve("stat"), StandardCharsets.US_ASCII).strip().split("\\s+");
                counters.put(Integer.valueOf(device.getFileName().toString().substring(PREFIX.length())),
                        Stream.of(numbers).mapToLong(Long::parseLong).toArray());
            } catch (IOException goneMeanwhile) {
                // ENOENT or ENODEV, as it comes
            }
        }
        return counters;
    }

    // ------------------------------------------------------------------------------------------- for people

    /** A row for each device, and below it one for each of its queues, if there are several. */
    static List<List<String>> table(List<Device> devices) {
        List<List<String>> rows = new ArrayList<>(List.of(HEADING));
        for (Device device : devices) {
            rows.add(row(device));
            if (device.queues.size() > 1) for (Activity queue : device.queues) rows.add(row(queue));
        }
        return rows;
    }

    private static List<String> row(Device device) {
        List<String> row = new ArrayList<>(List.of(device.path, "all"));
        row.addAll(io(device.nanos, device.reads, device.readBytes, device.writes, device.writeBytes, device.discards, device.flushes));
        row.add(Long.toString(device.inFlight));
        row.addAll(device.all == null ? List.of("", "", "", "", "", "", "", "") : told(device.all));
        return row;
    }

    private static List<String> row(Activity queue) {
        List<String> row = new ArrayList<>(List.of("", Integer.toString(queue.queue())));
        row.addAll(io(queue.nanos(), queue.reads(), queue.readBytes(), queue.writes(), queue.writeBytes(), queue.discards(), queue.flushes()));
        row.add("");
        row.addAll(told(queue));
        return row;
    }

    private static List<String> io(long nanos, long reads, long readBytes, long writes, long writeBytes, long discards, long flushes) {
        return List.of(rate(reads, nanos), bytes(readBytes, nanos), rate(writes, nanos), bytes(writeBytes, nanos),
                rate(discards, nanos), rate(flushes, nanos));
    }

    private static List<String> told(Activity activity) {
        return List.of(rate(activity.failed(), activity.nanos()), time(activity.p50Nanos()), time(activity.p99Nanos()),
                time(activity.p999Nanos()), Long.toString(activity.tags()), batch(activity.tagsAFetch()), batch(activity.tagsACommit()),
                rate(activity.starved(), activity.nanos()));
    }

    private static double perSecond(long count, long nanos) {
        return nanos <= 0 ? 0 : count / (nanos / NANOS_PER_SECOND);
    }

    private static String rate(long count, long nanos) {
        return String.format(Locale.ROOT, "%.0f", perSecond(count, nanos));
    }

    private static String bytes(long count, long nanos) {
        return Size.text(Math.round(perSecond(count, nanos)));
    }

    private static String batch(double tags) {
        return String.format(Locale.ROOT, "%.1f", tags);
    }

    private static String time(long nanos) {
        if (nanos == 0) return "-";
        if (nanos >= 10_000_000_000L) return "%.0fs".formatted(nanos / 1e9);
        if (nanos >= 1_000_000_000L) return String.format(Locale.ROOT, "%.1fs", nanos / 1e9);
        if (nanos >= 10_000_000) return nanos / 1_000_000 + "ms";
        if (nanos >= 1_000_000) return String.format(Locale.ROOT, "%.1fms", nanos / 1e6);
        return nanos / 1_000 + "us";
    }
}
