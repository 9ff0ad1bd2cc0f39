package io.reactorublk;

import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.WRITE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.reactorublk.target.RamTarget;
import io.reactorublk.uring.EventLoop;
import io.reactorublk.uring.IoBuffer;
import io.reactorublk.uring.Kernel;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.RingConfig;
import io.reactorublk.uring.UringFile;
import io.reactorublk.uring.UringOpenOption;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import reactor.core.publisher.Mono;

/** Applications that share memory with a server, in every mode that the rest of their requests may have. */
class SharedMemoryVmIT extends LinuxDeviceTest {

    private static final long DEVICE_BYTES = 16 << 20;
    private static final int PIECE = 64 << 10;
    private static final long OFFSET = 1 << 20;

    private final Path path = Path.of("/dev/shm/reactor-ublk-" + ProcessHandle.current().pid());
    private final AtomicInteger shared = new AtomicInteger();
    private final AtomicInteger others = new AtomicInteger();

    @AfterEach
    void unlink() throws IOException {
        Files.deleteIfExists(path);
    }

    @ParameterizedTest
    @EnumSource
    void whatIsInSharedMemoryIsNotCopied(DataMode mode) {
        try (RamTarget ram = new RamTarget(DEVICE_BYTES); SharedMemory memory = SharedMemory.create(path, 1 << 20);
                Arena arena = Arena.ofConfined()) {
            UblkDevice device = start(counting(ram).dataMode(mode).sharedMemory());
            linux.get(device.share(memory));
            try (SharedMemory clients = SharedMemory.open(path)) {
                MemorySegment written = clients.allocate(PIECE);
                MemorySegment read = clients.allocate(PIECE);
                MemorySegment mine = arena.allocate(PIECE, 4096);
                written.fill((byte) 42);
                write(device, written);
                read(device, read);
                assertThat(read.mismatch(written)).isEqualTo(-1);
                assertThat(shared.get()).isEqualTo(2);

                int before = others.get();
                read(device, mine);
                assertThat(mine.mismatch(written)).isEqualTo(-1);
                assertThat(others.get()).as("requests from other memory").isEqualTo(before + 1);
                assertThat(shared.get()).isEqualTo(2);

                linux.get(device.unshare(memory));
                read(device, read.fill((byte) 0));
                assertThat(read.mismatch(written)).isEqualTo(-1);
                assertThat(shared.get()).as("after it was taken back").isEqualTo(2);
            }
            stop(device);
        }
    }

    @Test
    void aDeviceThatWasNotMadeForItRefuses() {
        try (RamTarget ram = new RamTarget(DEVICE_BYTES); SharedMemory memory = SharedMemory.create(path, 1 << 20)) {
            UblkDevice device = start(counting(ram));
            assertThatThrownBy(() -> linux.get(device.share(memory)))
                    .isInstanceOf(KernelException.class).hasMessageContaining("sharedMemory()");
            assertThatThrownBy(() -> linux.get(device.unshare(memory))).isInstanceOf(IllegalArgumentException.class);
            stop(device);
        }
    }

    private void read(UblkDevice device, MemorySegment memory) {
        assertThat(with(device, disk -> disk.read(IoBuffer.of(memory), OFFSET))).isEqualTo(PIECE);
    }

    private void write(UblkDevice device, MemorySegment memory) {
        assertThat(with(device, disk -> disk.write(IoBuffer.of(memory), OFFSET))).isEqualTo(PIECE);
    }

    private Integer with(UblkDevice device, Function<UringFile, Mono<Integer>> transfer) {
        EventLoop client = EventLoop.start(Kernel.linux(), "client", new RingConfig(8, 16, false));
        try {
            return linux.get(Mono.usingWhen(
                    UringFile.open(client, device.path(), READ, WRITE, UringOpenOption.DIRECT), transfer, UringFile::close));
        } finally {
            linux.get(client.disposeGracefully());
        }
    }

    private UblkServer counting(RamTarget ram) {
        return UblkServer.create().size(DEVICE_BYTES).serve(queue -> ram.serve(queue.via(requests -> requests.doOnNext(request -> {
            if (request.operation().hasData()) (request.isShared() ? shared : others).incrementAndGet();
        }))));
    }
}
