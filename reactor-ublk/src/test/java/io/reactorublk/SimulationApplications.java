package io.reactorublk;

import io.reactorublk.memory.MemoryDisk;
import io.reactorublk.uring.KernelException;
import reactor.core.publisher.Mono;

/** Who uses the disk of a {@link Simulation}, and knows of each operation that it ends once, and with what it may. */
final class SimulationApplications {

    private static final int MOST_BLOCKS = 20;                         // so that some are split

    private final Simulation simulation;
    private final ModelDisk model;
    private final int blocks;
    private int outstanding;
    private long started;
    private long mayFail;
    private long lastValue;

    SimulationApplications(Simulation simulation, int blocks) {
        this.simulation = simulation;
        this.blocks = blocks;
        model = new ModelDisk(blocks);
    }

    /** Operations that have not ended. */
    int outstanding() {
        return outstanding;
    }

    /** What failed comes no later than now. */
    void serverGone() {
        model.serverGone();
    }

    /** What has begun by now may fail: its server has died. */
    void mayFailSoFar() {
        mayFail = started;
    }

    /** Starts an operation. */
    void submit(MemoryDisk disk) {
        int first = simulation.pick(blocks);
        int count = 1 + simulation.pick(Math.min(MOST_BLOCKS, blocks - first));
        long offset = (long) first * ModelDisk.BLOCK;
        int length = count * ModelDisk.BLOCK;
        switch (simulation.pick(10)) {
            case 0 -> ends("flush", disk.flush(), model.reads(first));
            case 1 -> ends("discard", disk.discard(offset, length), model.writes(first, count, ModelDisk.ZERO));
            case 2 -> ends("zeroes", disk.writeZeroes(offset, length), model.writes(first, count, ModelDisk.ZERO));
            case 3, 4, 5 -> {
                ModelDisk.Pending read = model.reads(first);
                Mono<byte[]> checked = disk.read(offset, length).doOnNext(bytes -> read(read, bytes, length));
                ends("read of " + count + " at " + first, checked, read);
            }
            default -> {
                long value = ++lastValue;
                ends("write of " + count + " at " + first + " as " + value, disk.write(offset, ModelDisk.bytes(count, value)),
                        model.writes(first, count, value));
            }
        }
    }

    private void read(ModelDisk.Pending read, byte[] bytes, int length) {
        if (bytes.length != length) simulation.fail("read " + bytes.length + " bytes of " + length);
        try {
            model.read(read, bytes);
        } catch (AssertionError e) {
            simulation.fail(e.getMessage());
        }
    }

    private void ends(String what, Mono<?> operation, ModelDisk.Pending pending) {
        outstanding++;
        long number = ++started;
        boolean[] ended = {false};
        simulation.log(() -> what);
        operation.subscribe(value -> {}, e -> {
            simulation.log(() -> what + " failed: " + e);
            model.failed(pending);
            ended(what, ended);
            if (number > mayFail && !simulation.operationsMayFail()) simulation.fail(what + " failed for no reason: " + e);
            if (!(e instanceof KernelException)) simulation.fail(what + " failed: " + e);
        }, () -> {
            simulation.log(() -> what + " done");
            model.written(pending);
            ended(what, ended);
        });
    }

    private void ended(String what, boolean[] ended) {
        if (ended[0]) simulation.fail(what + " ended twice");
        ended[0] = true;
        outstanding--;
    }
}
