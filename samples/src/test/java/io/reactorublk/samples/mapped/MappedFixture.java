package io.reactorublk.samples.mapped;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.reactorublk.UblkDevice;
import io.reactorublk.UblkServer;
import io.reactorublk.memory.MemoryDisk;
import io.reactorublk.memory.MemoryUblk;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.EventLoop;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.RingConfig;
import io.reactorublk.uring.memory.MemoryFile;
import java.nio.file.Path;
import java.util.Objects;
import reactor.core.publisher.Mono;

/**
 * A volume on the kernel in memory. Its map's thread is a loop of that kernel, so that one seed decides about it, too, and
 * it dies with the process.
 */
final class MappedFixture {

    static final int EXTENT_BYTES = 4096;
    static final int LOGICAL = 32;
    static final int BYTES = LOGICAL * EXTENT_BYTES;

    private static final String DATA = "/data";

    final MemoryUblk ublk;
    final MemoryFile data;
    final MemoryExtentStore store = new MemoryExtentStore();
    private final int physical;
    private UblkDevice device;

    MappedFixture(MemoryUblk ublk, int physicalExtents) {
        this.ublk = ublk;
        physical = physicalExtents;
        data = ublk.kernel().file(DATA, new byte[physicalExtents * EXTENT_BYTES]);
    }

    /** Starts a device, after the last one has stopped or died. */
    MemoryDisk serve(int queues) {
        EventLoop thread = EventLoop.start(ublk.kernel(), "map", RingConfig.DEFAULT);
        ExtentMap map = new ExtentMap(store, LOGICAL, physical, EXTENT_BYTES, thread, thread);
        MappedTarget target = new MappedTarget(Path.of(DATA), BYTES, EXTENT_BYTES, map);
        device = Objects.requireNonNull(ublk.get(
                UblkServer.create().kernel(ublk.kernel()).size(BYTES).queues(queues).queueDepth(8).maxIoBytes(64 << 10).fua().serve(target).start()));
        return ublk.disk(device);
    }

    void stop() {
        ublk.get(device.disposeLater());
    }

    /** Nothing is left but what is on the disks. */
    void powerCut() {
        ublk.kill();
        data.crash();
    }

    void assertErrno(Mono<?> operation, Errno errno) {
        assertThatThrownBy(() -> ublk.get(operation)).isInstanceOfSatisfying(KernelException.class,
                e -> org.assertj.core.api.Assertions.assertThat(e.errno()).isEqualTo(errno));
    }
}
