package io.reactorublk.samples.cli;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * What devices do, by the counters of the block layer, which count for any server. Mirrors
 * {@code Documentation/block/stat.rst}. Each look tells what has happened since the one before.
 */
final class Top {

    static final List<String> HEADING = List.of("DEVICE", "READ/s", "READ B/s", "WRITE/s", "WRITE B/s", "DISCARD/s", "FLUSH/s", "IN FLIGHT");

    private static final String PREFIX = "ublkb";
    private static final int SECTOR_BYTES = 512;

    private static final int READS = 0;
    private static final int READ_SECTORS = 2;
    private static final int WRITES = 4;
    private static final int WRITE_SECTORS = 6;
    private static final int IN_FLIGHT = 8;
    private static final int DISCARDS = 11;
    private static final int FLUSHES = 15;

    private final Path devices;
    private Map<Integer, long[]> last = new HashMap<>();
    private long lastNanos;

    /** @param devices {@code /sys/block} */
    Top(Path devices) {
        this.devices = devices;
    }

    /**
     * A row for each device that was there at the last look too.
     *
     * @param nanos the time
     */
    List<List<String>> look(long nanos) throws IOException {
        double seconds = (nanos - lastNanos) / 1e9;
        Map<Integer, long[]> now = counters();
        List<List<String>> rows = new ArrayList<>(List.of(HEADING));
        now.forEach((id, is) -> {
            long[] was = last.get(id);
            if (was != null) rows.add(row(id, was, is, seconds));
        });
        last = now;
        lastNanos = nanos;
        return rows;
    }

    private static List<String> row(int id, long[] was, long[] is, double seconds) {
        return List.of("/dev/" + PREFIX + id,
                count((is[READS] - was[READS]) / seconds), bytes((is[READ_SECTORS] - was[READ_SECTORS]) / seconds),
                count((is[WRITES] - was[WRITES]) / seconds), bytes((is[WRITE_SECTORS] - was[WRITE_SECTORS]) / seconds),
                count((is[DISCARDS] - was[DISCARDS]) / seconds), count((is[FLUSHES] - was[FLUSHES]) / seconds),
                Long.toString(is[IN_FLIGHT]));
    }

    private static String count(double rate) {
        return String.format(Locale.ROOT, "%.0f", rate);
    }

    private static String bytes(double sectors) {
        return Size.text(Math.round(sectors * SECTOR_BYTES));
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
            } catch (NoSuchFileException e) {
                // it went away meanwhile
            }
        }
        return counters;
    }
}
