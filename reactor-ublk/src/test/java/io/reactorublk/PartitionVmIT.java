package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Mono;

/** The kernel looks for partitions when a device starts, unless it is told not to. */
class PartitionVmIT extends LinuxDeviceTest {

    private static final int BYTES = 4 << 20;
    private static final int SECTOR = 512;
    /** Where in the first sector the first of four entries is, and its fields: type, first sector, number of sectors. */
    private static final int ENTRY = 446;
    private static final int TYPE = ENTRY + 4;
    private static final int FIRST_SECTOR = ENTRY + 8;
    private static final int SECTORS = ENTRY + 12;
    private static final byte LINUX = (byte) 0x83;

    /** A disk with a master boot record and one partition, from 1 MiB to 2 MiB. */
    private static byte[] partitioned() {
        byte[] disk = new byte[BYTES];
        disk[TYPE] = LINUX;
        putSectors(disk, FIRST_SECTOR);
        putSectors(disk, SECTORS);
        disk[SECTOR - 2] = 0x55;
        disk[SECTOR - 1] = (byte) 0xaa;
        return disk;
    }

    private static void putSectors(byte[] disk, int at) {
        ByteBuffer.wrap(disk).order(ByteOrder.LITTLE_ENDIAN).putInt(at, (1 << 20) / SECTOR);
    }

    private final UblkServer server = UblkServer.create().size(BYTES).maxIoBytes(64 << 10).queueDepth(8).serve(disk(partitioned()));

    private static BlockTarget disk(byte[] content) {
        return queue -> queue.answer(request -> {
            if (request.operation() == Operation.READ) {
                MemorySegment.copy(content, (int) request.offset(), request.data(), ValueLayout.JAVA_BYTE, 0, (int) request.length());
            }
            return Mono.just(request.complete());
        });
    }

    private static Path firstPartition(UblkDevice device) {
        String name = device.path().getFileName().toString();
        return Path.of("/sys/block", name, name + "p1");
    }

    @Test
    void aPartitionAppears() {
        UblkDevice device = start(server);
        linux.await(() -> Files.exists(firstPartition(device)));
    }

    @Test
    void withoutAScanThereIsNoneUntilSomebodyLooks() {
        UblkDevice device = start(server.withoutPartitionScan());
        linux.settle();
        assertThat(firstPartition(device)).doesNotExist();
        Shell.succeed("blockdev", "--rereadpt", device.path().toString());
        linux.await(() -> Files.exists(firstPartition(device)));
    }
}
