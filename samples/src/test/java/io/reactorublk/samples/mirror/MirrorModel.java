package io.reactorublk.samples.mirror;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;

/**
 * What the sectors of a disk may hold, from what applications have been told and what happened to the disk:
 *
 * <ul>
 *   <li>the last acknowledged write, or one that is still in flight;
 *   <li>a write that failed, or was in flight when the server died, or not: but when nobody writes, what was read stays;
 *   <li>after a power cut, nothing older than the last write that was durable.
 * </ul>
 *
 * <p>By sectors and not by blocks, because that is what a power cut tears.
 */
final class MirrorModel {

    static final int SECTOR = 512;
    /** What was never written, and what was discarded. */
    static final long ZERO = 0;

    private static final int NEVER = Integer.MAX_VALUE;

    /** A write of one sector; or the fact that it holds a value, which is as good as a write. */
    private static final class Write {

        final long value;
        final int started;
        int ended = NEVER;
        boolean acknowledged;
        boolean durable;
        /** Whether a write that failed happened or not: a crash may show the other one, as it can be on another replica. */
        boolean onlySeen;

        Write(long value, int started) {
            this.value = value;
            this.started = started;
        }
    }

    /** What an application has under way. */
    record Pending(int started, int first, List<Write> writes) {

        boolean changesAnything() {
            return !writes.isEmpty();
        }
    }

    private final List<List<Write>> sectors = new ArrayList<>();
    private int clock;

    MirrorModel(int count) {
        for (int i = 0; i < count; i++) sectors.add(held(List.of(ZERO)));
    }

    /** One of these, it is not known which; but whichever it is, it is on all disks. */
    private List<Write> held(List<Long> values) {
        List<Write> held = new ArrayList<>();
        for (long value : values) {
            Write write = new Write(value, clock);
            write.ended = clock;
            write.acknowledged = values.size() == 1;
            write.durable = true;
            held.add(write);
        }
        return held;
    }

    /** The bytes of a value. */
    static byte[] bytes(int length, long value) {
        ByteBuffer bytes = ByteBuffer.allocate(length);
        while (bytes.hasRemaining()) bytes.putLong(value);
        return bytes.array();
    }

    // ------------------------------------------------------------------------------------------- what applications do

    /** A read or a flush. */
    Pending begins(int first) {
        return new Pending(++clock, first, List.of());
    }

    Pending writes(int first, int count, long value) {
        Pending pending = new Pending(++clock, first, new ArrayList<>());
        for (int i = 0; i < count; i++) {
            Write write = new Write(value, clock);
            sectors.get(first + i).add(write);
            pending.writes.add(write);
        }
        return pending;
    }

    void written(Pending pending, boolean durably) {
        clock++;
        for (Write write : pending.writes) {
            write.ended = clock;
            write.acknowledged = true;
            write.durable = durably;
        }
    }

    /** Nothing of it happens any more. */
    void failed(Pending pending) {
        clock++;
        for (Write write : pending.writes) write.ended = clock;
    }

    void flushed(Pending flush) {
        clock++;
        for (List<Write> writes : sectors) {
            for (Write write : writes) write.durable |= write.acknowledged && write.ended < flush.started;
        }
    }

    void read(Pending read, byte[] found) {
        clock++;
        ByteBuffer bytes = ByteBuffer.wrap(found);
        for (int sector = read.first; bytes.hasRemaining(); sector++) {
            long value = bytes.getLong();
            for (int i = Long.BYTES; i < SECTOR; i += Long.BYTES) {
                if (bytes.getLong() != value) throw new AssertionError("sector " + sector + " is torn: it begins as of " + value);
            }
            check(sector, value, read.started);
        }
    }

    private void check(int sector, long value, int started) {
        List<Write> writes = sectors.get(sector);
        List<Write> possible = visible(writes, started);
        List<Write> seen = possible.stream().filter(write -> write.value == value).toList();
        if (seen.isEmpty()) {
            throw new AssertionError("sector " + sector + " was read as " + value + "; it may hold "
                    + possible.stream().map(write -> write.value).toList());
        }
        if (seen.size() == possible.size() || writes.stream().anyMatch(write -> write.ended >= started)) return;
        Write fact = new Write(value, clock);
        fact.ended = clock;
        fact.acknowledged = true;
        fact.durable = seen.stream().allMatch(write -> write.durable);
        fact.onlySeen = possible.stream().anyMatch(write -> !write.acknowledged && !write.durable);
        writes.add(fact);
    }

    /** All but what was overwritten by something that had ended before. */
    private static List<Write> visible(List<Write> writes, int started) {
        return since(writes, write -> write.acknowledged && write.ended < started);
    }

    /** What had not ended when the last of some writes began. */
    private static List<Write> since(List<Write> writes, Predicate<Write> which) {
        int last = writes.stream().filter(which).mapToInt(write -> write.started).max().orElse(0);
        return writes.stream().filter(write -> write.ended >= last).toList();
    }

    // ------------------------------------------------------------------------------------------- what happens to the disk

    /** The server died. Its replicas may differ where writes were in flight or had failed. */
    void killed() {
        clock++;
        for (List<Write> writes : sectors) {
            writes.removeIf(write -> write.onlySeen);
            for (Write write : writes) write.ended = Math.min(write.ended, clock);
        }
    }

    /** The power failed, after the server died. What was not durable may be there or not. */
    void powerFailed() {
        clock++;
        sectors.replaceAll(writes -> {
            List<Write> left = new ArrayList<>(since(writes, write -> write.acknowledged && write.durable));
            for (Write write : left) write.acknowledged = write.durable = false;
            return left;
        });
    }

    /** All replicas are equal, and on their disks: the set has been opened, or was closed in order. */
    void settled() {
        clock++;
        sectors.replaceAll(writes -> held(visible(writes, clock).stream().map(write -> write.value).distinct().toList()));
        clock++;
    }
}
