package io.reactorublk;

import io.reactorublk.uring.Errno;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.UringFile;
import io.reactorublk.uring.memory.MemoryFile;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeoutException;
import reactor.core.publisher.Mono;

/** One request of a {@link Simulation} whose content is in a file: dice decide in which operations, and what goes wrong. */
final class SimulationTransfer {

    private final Simulation simulation;
    private final BlockQueue queue;
    private final UringFile file;
    private final BlockRequest request;

    SimulationTransfer(Simulation simulation, BlockQueue queue, UringFile file, BlockRequest request) {
        this.simulation = simulation;
        this.queue = queue;
        this.file = file;
        this.request = request;
    }

    Mono<Completion> completion() {
        if (simulation.faulty && request.operation().hasData()) breakSomething();
        boolean tooEarly = request.operation().hasData() && simulation.pickForMode(24) == 0;
        return tooEarly ? early() : start().onErrorResume(e -> Mono.just(failed(e)));
    }

    /** Says that all is done when it has only begun: that is true when the application hears it, or it hears something else. */
    private Mono<Completion> early() {
        simulation.happened("answered early");
        (simulation.pickForMode(2) == 0 ? fused() : request.transfer(file, request.offset())).subscribe(done -> {}, this::failed);
        return Mono.just(request.complete());
    }

    private void breakSomething() {
        MemoryFile.Call call = request.operation() == Operation.READ ? MemoryFile.Call.READ : MemoryFile.Call.WRITE;
        int way = simulation.pickForMode(40);
        if (way == 0) {
            simulation.happened("a file fails");
            simulation.mayFail();
            simulation.file().fail(call, Errno.EIO);
        } else if (way < 6) {
            simulation.happened("a short transfer");
            if (simulation.shares()) simulation.mayFail();
            simulation.file().shorten(call, ModelDisk.BLOCK);
        }
    }

    private Mono<Completion> start() {
        long offset = request.offset();
        long length = request.length();
        return switch (request.operation()) {
            case READ, WRITE -> transfer();
            case FLUSH -> file.dataSync().thenReturn(request.complete());
            case DISCARD -> file.punchHole(offset, length).thenReturn(request.complete());
            case WRITE_ZEROES -> (request.isNoUnmap() ? file.zeroRange(offset, length) : file.punchHole(offset, length))
                    .thenReturn(request.complete());
        };
    }

    private Mono<Completion> transfer() {
        return switch (simulation.pickForMode(6)) {
            case 0 -> once();
            case 1 -> fused();
            case 2 -> simulation.faulty ? timed() : fused();
            default -> request.transfer(file, request.offset());
        };
    }

    /** One operation, which may be short. */
    private Mono<Completion> once() {
        if (!request.queue().data(request).hasBuffers()) return request.transfer(file, request.offset());
        var buffer = file.loop() == queue.loop() ? request.buffer() : request.buffer(file.loop());
        Mono<Integer> operation = request.operation() == Operation.READ
                ? file.read(buffer, request.offset()) : file.write(buffer, request.offset());
        return operation.map(request::complete);
    }

    /** Two halves at a time. */
    private Mono<Completion> fused() {
        int length = (int) request.length();
        int half = length / 2 / ModelDisk.BLOCK * ModelDisk.BLOCK;
        if (half == 0) return request.transfer(file, request.offset());
        simulation.happened("fused");
        return request.fuse(List.of(request.transfer(file, request.offset(), 0, half),
                request.transfer(file, request.offset() + half, half, length - half)));
    }

    /** Not for longer than the file may take. */
    private Mono<Completion> timed() {
        Duration limit = Duration.ofNanos(1000L * simulation.pickForMode(400));
        return request.transfer(file, request.offset()).timeout(limit, queue.loop()).doOnError(TimeoutException.class, e -> {
            simulation.happened("a transfer timed out");
            simulation.mayFail();
        });
    }

    private Completion failed(Throwable e) {
        boolean expected = request.isLost() || !simulation.isServed() || simulation.operationsMayFail();
        if (e instanceof KernelException refusal && refusal.errno() == Errno.ENOBUFS && file.loop() != queue.loop()) {
            simulation.happened("a table without a place");            // of a loop that is not made for it
            simulation.mayFail();
            expected = true;
        }
        if (!expected) simulation.fail(request + " could not be transferred: " + e);
        return request.fail(e);
    }
}
