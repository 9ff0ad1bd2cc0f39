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
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
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

        /** A real application, whose every buffer is in it. */
        @ParameterizedTest
        @EnumSource
        void fioVerifiesFromIt(DataMode mode) {
            AtomicLong inShared = new AtomicLong();
            AtomicLong elsewhere = new AtomicLong();
            Path path = linux.sharedPath();
            try (RamTarget ram = new RamTarget(16 << 20); SharedMemory memory = SharedMemory.create(path, 4 << 20)) {
                UblkDevice device = start(UblkServer.create().size(16 << 20).dataMode(mode).sharedMemory().withoutPartitionScan()
                        .serve(queue -> ram.serve(queue.via(requests -> requests.doOnNext(request -> {
                            if (request.operation().hasData()) (request.isShared() ? inShared : elsewhere).incrementAndGet();
                        })))));
                linux.get(device.share(memory));
                Shell.succeed("fio", "--name=verify", "--filename=" + device.path(), "--rw=randwrite", "--bsrange=4k-64k", "--size=2m",
                        "--iodepth=16", "--ioengine=libaio", "--direct=1", "--thread", "--mem=mmapshared:" + path,
                        "--verify=crc32c", "--verify_fatal=1", "--do_verify=1", "--minimal");
                assertThat(inShared.get()).as("requests in shared memory, and %s elsewhere", elsewhere).isGreaterThan(9 * elsewhere.get());
                stop(device);
            } finally {
                linux.close();
            }
        }

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
