package io.reactorublk;

import io.reactorublk.uring.Kernel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import reactor.core.publisher.Mono;

/** The start and the end of a device that is like one in use, and that nobody waits for. See {@link UblkServer#rehearse}. */
final class Rehearsal {

    private Rehearsal() {}

    static Mono<Void> of(Kernel kernel, ServerConfig config, int id) {
        return like(kernel, config, id)
                .flatMap(alike -> DeviceLifecycle.start(kernel, alike, zeros(alike.maxIoBytes)))
                .flatMap(UblkDevice::disposeLater);
    }

    /** What would be served, under a number of its own. It goes with this process, and nobody measures it. */
    private static Mono<ServerConfig> like(Kernel kernel, ServerConfig config, int id) {
        return Mono.using(() -> UblkControl.create(kernel, config.controlDeadline),
                control -> Mono.zip(control.inspect(id), control.parameters(id)), UblkControl::close)
                .map(is -> like(is.getT1(), is.getT2(), config));
    }

    private static ServerConfig like(DeviceStatus status, DeviceParameters parameters, ServerConfig config) {
        DeviceLifecycle.requireServable(status, config);
        if (status.recovery() == Recovery.NONE) {
            throw new IllegalArgumentException(status.path() + " was made with Recovery.NONE, and goes with its server");
        }
        ServerConfig alike = config.of(status, parameters);
        alike.id = UblkServer.ANY_ID;
        alike.recovery = Recovery.NONE;
        alike.listener = QueueListener.NONE;
        alike.controlListener = ControlListener.NONE;
        return alike;
    }

    /** The partition scan and udev read it, and must not find what a page of the kernel's held before. */
    private static BlockTarget zeros(int maxIoBytes) {
        MemorySegment zeros = Arena.ofAuto().allocate(maxIoBytes);
        return queue -> queue.answer(request -> request.operation() != Operation.READ ? Mono.just(request.complete())
                : request.fill(0, zeros.asSlice(0, request.length())).thenReturn(request.complete()));
    }
}
