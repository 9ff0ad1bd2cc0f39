package io.reactorublk.samples.mirror;

import io.reactorublk.memory.MemoryDisk;
import io.reactorublk.uring.KernelException;
import reactor.core.publisher.Mono;

/**
 * Who uses the disk of a {@link MirrorSimulation}, and knows of each operation that it ends once, and with what it may. They
 * use some blocks on both sides of the borders between stripes, so that every replica is read.
 */
final class MirrorApplications {

    static final int BLOCK = 4096;
    /** So many blocks around each border, and so many borders. */
    static final int AREA_BLOCKS = 12;
    static final int AREAS = 2;

    private static final int MOST_BLOCKS = 8;                          // more than a request holds
    private static final int SECTORS = BLOCK / MirrorModel.SECTOR;
    private static final long STRIPE = 1 << 20;

    private final MirrorSimulation simulation;
    private final MirrorModel model = new MirrorModel(AREAS * AREA_BLOCKS * SECTORS);
    private int outstanding;
    private long lastValue;

    MirrorApplications(MirrorSimulation simulation) {
        this.simulation = simulation;
    }

    MirrorModel model() {
        return model;
    }

    /** Operations that have not ended. */
    int outstanding() {
        return outstanding;
    }

    /** Where an area begins on the device. */
    static long offsetOf(int area) {
        return (area + 1) * STRIPE - AREA_BLOCKS / 2 * BLOCK;
    }

    /** The least that a device must have. */
    static long deviceBytes() {
        return offsetOf(AREAS - 1) + AREA_BLOCKS * BLOCK;
    }

    /** Starts an operation. */
    void submit(MemoryDisk disk) {
        int area = simulation.pick(AREAS);
        int block = simulation.pick(AREA_BLOCKS);
        int count = 1 + simulation.pick(Math.min(MOST_BLOCKS, AREA_BLOCKS - block));
        long offset = offsetOf(area) + (long) block * BLOCK;
        int length = count * BLOCK;
        int first = (area * AREA_BLOCKS + block) * SECTORS;
        String where = " of " + count + " at " + area + "/" + block;
        switch (simulation.pick(12)) {
            case 0, 1 -> {
                MirrorModel.Pending flush = model.begins(first);
                ends("flush", false, disk.flush().doOnSuccess(done -> model.flushed(flush)), flush, false);
            }
            case 2 -> {
                boolean discards = simulation.once(2);
                Mono<Void> zeroes = discards ? disk.discard(offset, length) : disk.writeZeroes(offset, length);
                ends((discards ? "discard" : "zeroes") + where, false, zeroes,
                        model.writes(first, count * SECTORS, MirrorModel.ZERO), false);
            }
            case 3, 4, 5, 6 -> {
                MirrorModel.Pending read = model.begins(first);
                ends("read" + where, true, disk.read(offset, length).doOnNext(bytes -> read(read, bytes, length)), read, false);
            }
            default -> {
                long value = ++lastValue;
                boolean durably = simulation.once(5);
                byte[] bytes = MirrorModel.bytes(length, value);
                ends("write" + where + " as " + value + (durably ? ", durably" : ""), false,
                        durably ? disk.writeDurably(offset, bytes) : disk.write(offset, bytes),
                        model.writes(first, count * SECTORS, value), durably);
            }
        }
    }

    private void read(MirrorModel.Pending read, byte[] bytes, int length) {
        if (bytes.length != length) simulation.fail("read " + bytes.length + " bytes of " + length);
        checked(() -> model.read(read, bytes));
    }

    /** What a replica holds of an area, while nobody writes. */
    void holds(int area, byte[] bytes) {
        checked(() -> model.read(model.begins(area * AREA_BLOCKS * SECTORS), bytes));
    }

    private void checked(Runnable check) {
        try {
            check.run();
        } catch (AssertionError e) {
            simulation.fail(e.getMessage());
        }
    }

    private void ends(String what, boolean reads, Mono<?> operation, MirrorModel.Pending pending, boolean durably) {
        outstanding++;
        boolean[] ended = {false};
        boolean mustFail = pending.changesAnything() && simulation.isBelowQuorum();
        simulation.log(() -> what);
        operation.subscribe(value -> {}, e -> {
            simulation.log(() -> what + " failed: " + e);
            model.failed(pending);
            ended(what, ended);
            if (!simulation.mayFail(reads)) simulation.fail(what + " failed for no reason: " + e);
            if (!(e instanceof KernelException)) simulation.fail(what + " failed: " + e);
        }, () -> {
            simulation.log(() -> what + " done");
            if (mustFail) simulation.fail(what + " was acknowledged, and fewer than the quorum have it");
            model.written(pending, durably);
            ended(what, ended);
        });
    }

    private void ended(String what, boolean[] ended) {
        if (ended[0]) simulation.fail(what + " ended twice");
        ended[0] = true;
        outstanding--;
    }
}
