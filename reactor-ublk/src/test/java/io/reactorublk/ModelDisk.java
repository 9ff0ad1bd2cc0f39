package io.reactorublk;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;

/**
 * What a disk's blocks may hold, from what applications have been told: the last acknowledged write, one that is still in
 * flight, or one that failed, as long as its server lives. What a read has seen is there: no later read sees what was before.
 */
final class ModelDisk {

    static final int BLOCK = 512;
    /** What was never written, and what was discarded. */
    static final long ZERO = 0;

    private static final int NEVER = Integer.MAX_VALUE;

    /** A write of one block. */
    private static final class Write {

        final long value;
        final int started;
        int ended = NEVER;
        /** From here on, what had ended when it started can be read no more. */
        int effective = NEVER;
        boolean failed;

        Write(long value, int started) {
            this.value = value;
            this.started = started;
        }
    }

    /** What an application has under way. */
    record Pending(int started, int first, List<Write> writes) {}

    private final List<List<Write>> blocks = new ArrayList<>();
    private int clock;

    ModelDisk(int count) {
        for (int i = 0; i < count; i++) {
            Write nothing = new Write(ZERO, clock);
            nothing.ended = nothing.effective = clock;
            blocks.add(new ArrayList<>(List.of(nothing)));
        }
    }

    /** The bytes of a value. */
    static byte[] bytes(int count, long value) {
        ByteBuffer bytes = ByteBuffer.allocate(count * BLOCK);
        while (bytes.hasRemaining()) bytes.putLong(value);
        return bytes.array();
    }

    Pending reads(int first) {
        return new Pending(++clock, first, List.of());
    }

    Pending writes(int first, int count, long value) {
        Pending pending = new Pending(++clock, first, new ArrayList<>());
        for (int i = 0; i < count; i++) {
            Write write = new Write(value, clock);
            blocks.get(first + i).add(write);
            pending.writes.add(write);
        }
        return pending;
    }

    void written(Pending pending) {
        clock++;
        for (Write write : pending.writes) {
            write.ended = clock;
            write.effective = Math.min(write.effective, clock);
        }
    }

    void failed(Pending pending) {
        for (Write write : pending.writes) write.failed = true;
    }

    /** The server is gone: what failed comes no later than now. */
    void serverGone() {
        clock++;
        for (List<Write> block : blocks) {
            for (Write write : block) if (write.failed) write.ended = Math.min(write.ended, clock);
        }
    }

    void read(Pending pending, byte[] found) {
        clock++;
        ByteBuffer bytes = ByteBuffer.wrap(found);
        for (int block = pending.first; bytes.hasRemaining(); block++) {
            long value = bytes.getLong();
            for (int i = Long.BYTES; i < BLOCK; i += Long.BYTES) {
                if (bytes.getLong() != value) throw new AssertionError("block " + block + " is torn: it begins as of " + value);
            }
            check(block, value, pending.started);
        }
    }

    private void check(int block, long value, int started) {
        List<Write> writes = blocks.get(block);
        List<Write> possible = writes.stream().filter(write -> write.value == value && !isGone(write, writes, started)).toList();
        if (possible.isEmpty()) {
            throw new AssertionError("block " + block + " was read as " + value + "; it may hold " + writes.stream()
                    .filter(write -> !isGone(write, writes, started)).map(write -> write.value).toList());
        }
        if (possible.size() == 1) possible.getFirst().effective = Math.min(possible.getFirst().effective, clock);
    }

    private static boolean isGone(Write write, List<Write> writes, int readStarted) {
        return writes.stream().anyMatch(later -> later.started > write.ended && later.effective < readStarted);
    }
}
