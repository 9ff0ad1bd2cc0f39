package io.reactorublk;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import io.reactorublk.memory.MemoryDisk;
import io.reactorublk.uring.KernelException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.Deque;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;

/** Who uses the disk of a {@link Simulation}, and knows of each operation that it ends once, and with what it may. */
final class SimulationApplications {

    private static final int MOST_BLOCKS = 20;                         // so that some are split
    private static final int PIECE_BYTES = MOST_BLOCKS * ModelDisk.BLOCK;

    /** What applications share at most. */
    static final int MEMORY_BYTES = 64 << 10;

    private final Simulation simulation;
    private final ModelDisk model;
    private final int blocks;
    /** Memory that is shared, if the server does: one piece for each operation. */
    private final Deque<MemorySegment> pieces = new ArrayDeque<>();
    private int outstanding;
    private long started;
    private long mayFail;
    private long lastValue;

    SimulationApplications(Simulation simulation, int blocks, MemorySegment memory) {
        this.simulation = simulation;
        this.blocks = blocks;
        for (long at = 0; at + PIECE_BYTES <= MEMORY_BYTES; at += PIECE_BYTES) pieces.add(memory.asSlice(at, PIECE_BYTES));
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
                Mono<byte[]> checked = reading(disk, offset, length).doOnNext(bytes -> read(read, bytes, length));
                ends("read of " + count + " at " + first, checked, read);
            }
            default -> {
                long value = ++lastValue;
                ends("write of " + count + " at " + first + " as " + value, writing(disk, offset, ModelDisk.bytes(count, value)),
                        model.writes(first, count, value));
            }
        }
    }

    private Mono<byte[]> reading(MemoryDisk disk, long offset, int length) {
        MemorySegment piece = takePiece(length);
        if (piece == null) return disk.read(offset, length);
        return disk.read(offset, piece.asSlice(0, length)).map(bytes -> piece.asSlice(0, bytes).toArray(JAVA_BYTE))
                .doFinally(end -> pieces.add(piece));
    }

    private Mono<Void> writing(MemoryDisk disk, long offset, byte[] bytes) {
        MemorySegment piece = takePiece(bytes.length);
        if (piece == null) return disk.write(offset, bytes);
        MemorySegment.copy(bytes, 0, piece, JAVA_BYTE, 0, bytes.length);
        return disk.write(offset, piece.asSlice(0, bytes.length)).doFinally(end -> pieces.add(piece));
    }

    /** Most operations come in memory that may be shared, while there is some. */
    private @Nullable MemorySegment takePiece(int length) {
        return simulation.shares() && length <= PIECE_BYTES && simulation.pickForSharing(4) != 0 ? pieces.poll() : null;
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
