package io.reactorublk;

import static java.nio.file.StandardOpenOption.READ;
import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.target.RamTarget;
import io.reactorublk.uring.EventLoop;
import io.reactorublk.uring.IoBuffer;
import io.reactorublk.uring.Kernel;
import io.reactorublk.uring.RingConfig;
import io.reactorublk.uring.UringFile;
import io.reactorublk.uring.UringOpenOption;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Mono;

/** Applications that share memory with a server, on a real kernel. */
class SharedMemoryVmIT {

    @Nested
    class Sharing extends SharedMemoryContract {
        @Override
        DeviceFixture newFixture() {
            return new LinuxDevices();
        }
    }

    @Nested
    class WithARing extends LinuxDeviceTest {

        private static final int PIECE = 64 << 10;

        @Test
        void anApplicationMayUseItFromARingOfItsOwn() {
            AtomicBoolean shared = new AtomicBoolean();
            try (RamTarget ram = new RamTarget(16 << 20); SharedMemory memory = SharedMemory.create(linux.sharedPath(), 1 << 20)) {
                UblkDevice device = start(UblkServer.create().size(16 << 20).sharedMemory().serve(queue ->
                        ram.serve(queue.via(requests -> requests.doOnNext(request -> shared.compareAndSet(false, request.isShared()))))));
                linux.get(device.share(memory));
                EventLoop client = EventLoop.start(Kernel.linux(), "client", new RingConfig(8, 16, false));
                Integer bytes = linux.get(Mono.usingWhen(UringFile.open(client, device.path(), READ, UringOpenOption.DIRECT),
                        disk -> disk.read(IoBuffer.of(memory.allocate(PIECE)), 0), UringFile::close));
                assertThat(bytes).isEqualTo(PIECE);
                assertThat(shared).isTrue();
                linux.get(client.disposeGracefully());
                stop(device);
            } finally {
                linux.close();
            }
        }
    }
}
