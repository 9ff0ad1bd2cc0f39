package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.reactorublk.MemoryDevices.Chance;
import io.reactorublk.memory.MemoryDisk;
import io.reactorublk.memory.MemoryUblk;
import io.reactorublk.uring.EventLoop;
import io.reactorublk.uring.RingConfig;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.MethodSource;
import reactor.core.publisher.Mono;

/** {@link MemoryUblk#kill}: of a real kernel {@link DriverEndContract} and {@link LoadVmIT} tell the same. */
@ParameterizedClass
@MethodSource("io.reactorublk.MemoryDevices$Chance#all")
class KilledServerTest {

    private static final int DEPTH = 4;
    private static final int BLOCK = 4096;

    @Parameter
    Chance chance;

    private MemoryUblk ublk;
    private UblkDevice device;
    private MemoryDisk disk;
    private final List<CompletableFuture<byte[]>> reads = new ArrayList<>();

    /** Twice as many requests as tags, and no answer. */
    @BeforeEach
    void serveNothing() {
        ublk = chance.ublk().withoutPartitionScan();
        device = Objects.requireNonNull(ublk.get(server(queue -> queue.answer(request -> Mono.never())).start()));
        disk = ublk.disk(device);
        for (int i = 0; i < 2 * DEPTH; i++) reads.add(disk.read((long) i * BLOCK, BLOCK).toFuture());
        ublk.settle();
        assertThat(disk.inFlight()).isEqualTo(DEPTH);
        ublk.kill();
        ublk.settle();
    }

    private UblkServer server(BlockTarget target) {
        return UblkServer.create().kernel(ublk.kernel()).size(1 << 20).queueDepth(DEPTH).maxIoBytes(64 << 10).serve(target);
    }

    @Test
    void whatItHadNotAnsweredFailsAndItsDiskGoes() {
        for (CompletableFuture<byte[]> read : reads) assertThatThrownBy(read::join).hasMessageContaining("EIO");
        assertThat(disk.isGone()).isTrue();
    }

    @Test
    void itsNumberIsFreeWhenTheNextProcessHasDeletedIt() {
        EventLoop loop = EventLoop.start(ublk.kernel(), "next", new RingConfig(8, 16, true));
        ControlDevice control = new ControlDevice(loop, Duration.ofSeconds(1), ControlListener.NONE);
        ublk.get(control.delete(device.id()));
        control.close();
        ublk.get(loop.disposeGracefully());
        ublk.assertNothingIsLeft();
        UblkDevice next = Objects.requireNonNull(ublk.get(server(queue -> queue.answer(request -> Mono.just(request.complete())))
                .id(device.id()).start()));
        assertThat(ublk.get(ublk.disk(next).read(0, BLOCK))).hasSize(BLOCK);
        ublk.get(next.disposeLater());
    }
}
