package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.reactorublk.target.FileTarget;
import io.reactorublk.target.RamTarget;
import io.reactorublk.target.StripeTarget;
import io.reactorublk.uring.EventLoop;
import io.reactorublk.uring.IoBuffer;
import io.reactorublk.uring.Kernel;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.RingConfig;
import io.reactorublk.uring.UringFile;
import io.reactorublk.uring.UringOpenOption;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import reactor.core.publisher.Mono;

/** fio writes and reads back in every way that bytes can travel. */
class DataModeVmIT extends LinuxDeviceTest {

    private static final long DEVICE_BYTES = 32 << 20;

    @TempDir
    Path directory;

    @ParameterizedTest
    @EnumSource
    void verifiesWhatItWroteToMemory(DataMode mode) {
        try (RamTarget ram = new RamTarget(DEVICE_BYTES)) {
            verify(UblkServer.create().size(DEVICE_BYTES).dataMode(mode).serve(ram));
        }
    }

    @ParameterizedTest
    @EnumSource
    void verifiesWhatItWroteToAFile(DataMode mode) throws IOException {
        verify(UblkServer.create().size(DEVICE_BYTES).dataMode(mode).serve(FileTarget.of(file(DEVICE_BYTES))));
    }

    /** Most requests lie on several files, and none of the parts begins where its request does. Two queues share a loop. */
    @ParameterizedTest
    @EnumSource
    void verifiesWhatItWroteToAStripe(DataMode mode) throws IOException {
        StripeTarget stripe = StripeTarget.of(16 << 10, List.of(file(11 << 20), file(12 << 20), file(11 << 20)));
        assertThat(stripe.sizeBytes()).isGreaterThan(DEVICE_BYTES);
        verify(UblkServer.create().size(DEVICE_BYTES).dataMode(mode).loops(1).serve(stripe));
    }

    private Path file(long bytes) throws IOException {
        Path path = Files.createTempFile(directory, "disk", ".img");
        try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
            file.setLength(bytes);
        }
        return path;
    }

    private void verify(UblkServer server) {
        for (int queues = 1; queues <= 2; queues++) {
            UblkDevice device = start(server.queues(queues));
            Shell.succeed("fio", "--name=verify", "--filename=" + device.path(), "--rw=randwrite", "--bsrange=4k-128k", "--size=2m",
                    "--offset_increment=8m", "--numjobs=" + queues, "--iodepth=16", "--ioengine=libaio", "--direct=1", "--thread",
                    "--verify=crc32c", "--verify_fatal=1", "--do_verify=1", "--group_reporting", "--minimal");
            stop(device);
        }
    }

    /** The driver finds the places of all tags taken, and the target notices nothing. */
    @Test
    void verifiesWhatIsRegisteredLater() throws IOException {
        int depth = 16;
        FileTarget file = FileTarget.of(file(DEVICE_BYTES));
        AtomicLong registered = new AtomicLong();
        try (Arena arena = Arena.ofShared()) {
            IoBuffer.Segment other = new IoBuffer.Segment(arena.allocate(4096, 4096));
            verify(UblkServer.create().size(DEVICE_BYTES).queueDepth(depth).dataMode(DataMode.ZERO_COPY).serve(queue -> {
                for (int tag = 0; tag < depth; tag++) queue.loop().ring().updateBuffer(tag, other.memory());
                return file.serve(queue.via(requests -> requests.doOnNext(request -> {
                    if (request.operation().hasData() && !request.needsRegistration()) registered.incrementAndGet();
                })));
            }));
        }
        assertThat(registered).as("requests in the table").hasValue(0);
    }

    /** A disk on a disk, both past the page cache: the pages of the upper one's applications are what the lower one gets, and none is parted. */
    @ParameterizedTest
    @ValueSource(ints = {512, 4096})
    void pagesGoDownToADiskWithItsOwnNeeds(int blockSize) {
        AtomicLong below = new AtomicLong();
        AtomicLong above = new AtomicLong();
        try (RamTarget ram = new RamTarget(DEVICE_BYTES)) {
            UblkDevice lower = start(UblkServer.create().size(DEVICE_BYTES).blockSize(blockSize).dmaAlignment(blockSize)
                    .maxSegments(8, 64 << 10).withoutPartitionScan().serve(counted(ram, below)));
            BlockTarget file = FileTarget.of(lower.path()).direct();
            verify(UblkServer.create().size(DEVICE_BYTES).blockSize(blockSize).dmaAlignment(blockSize).maxSegments(8, 64 << 10)
                    .dataMode(DataMode.ZERO_COPY).serve(counted(file, above)));
            assertThat(below.get()).as("none was parted below, though some may be merged").isLessThanOrEqualTo(above.get());
            below.set(0);
            above.set(0);
            verify(UblkServer.create().size(DEVICE_BYTES).blockSize(blockSize).dmaAlignment(blockSize)
                    .dataMode(DataMode.ZERO_COPY).serve(counted(file, above)));
            assertThat(below.get()).as("some were, without the limits").isGreaterThan(above.get());
            stop(lower);
        }
    }

    private static BlockTarget counted(BlockTarget target, AtomicLong transfers) {
        return queue -> target.serve(queue.via(requests -> requests.doOnNext(request -> {
            if (request.operation().hasData()) transfers.incrementAndGet();
        })));
    }

    /** Or pages would go down to a disk that cannot take them. */
    @ParameterizedTest
    @CsvSource({"4, true", "512, false"})
    void memoryMustBeAlignedAsTheDeviceSays(int alignment, boolean taken) {
        try (RamTarget ram = new RamTarget(DEVICE_BYTES); Arena arena = Arena.ofShared()) {
            UblkDevice device = start(UblkServer.create().size(DEVICE_BYTES).dmaAlignment(alignment).serve(ram));
            IoBuffer unaligned = IoBuffer.of(arena.allocate(8192, 4096).asSlice(4, 4096));
            EventLoop loop = EventLoop.start(Kernel.linux(), "application", new RingConfig(8, 16, false));
            Mono<Integer> read = Mono.usingWhen(UringFile.open(loop, device.path(), StandardOpenOption.READ, UringOpenOption.DIRECT),
                    file -> file.read(unaligned, 0), UringFile::close);
            try {
                if (taken) {
                    assertThat(linux.get(read)).isEqualTo(4096);
                } else {
                    assertThatThrownBy(() -> linux.get(read)).isInstanceOf(KernelException.class).hasMessageContaining("EINVAL");
                }
            } finally {
                linux.get(loop.disposeGracefully());
            }
            stop(device);
        }
    }
}
