package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.target.NullTarget;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** The block layer knows of a device what its server was told. */
class QueueAttributesVmIT extends LinuxDeviceTest {

    private static final UblkServer SERVER = UblkServer.create().size(64 << 20).serve(new NullTarget());

    @Test
    void defaults() throws IOException {
        assertThat(attributes(start(SERVER))).containsAllEntriesOf(Map.ofEntries(
                Map.entry("size", "" + (64 << 20) / 512),
                Map.entry("ro", "0"),
                Map.entry("logical_block_size", "512"),
                Map.entry("physical_block_size", "4096"),
                Map.entry("max_hw_sectors_kb", "512"),
                Map.entry("write_cache", "write back"),
                Map.entry("fua", "0"),
                Map.entry("rotational", "0"),
                Map.entry("discard_granularity", "4096"),
                Map.entry("discard_max_hw_bytes", "" + (1 << 30)),
                Map.entry("write_zeroes_max_bytes", "" + (1 << 30)),
                Map.entry("hardware queues", "1")));
    }

    @Test
    void everythingDifferent() throws IOException {
        UblkDevice device = start(SERVER.blockSize(4096).physicalBlockSize(8192).maxIoBytes(64 << 10).writeThrough().fua()
                .rotational().readOnly().discardGranularity(65536).maxDiscardBytes(8 << 20).maxWriteZeroesBytes(4 << 20)
                        .queues(2));
        assertThat(attributes(device)).containsAllEntriesOf(Map.ofEntries(
                Map.entry("size", "" + (64 << 20) / 512),
                Map.entry("ro", "1"),
                Map.entry("logical_block_size", "4096"),
                Map.entry("physical_block_size", "8192"),
                Map.entry("max_hw_sectors_kb", "64"),
                Map.entry("write_cache", "write through"),
                Map.entry("rotational", "1"),
                Map.entry("discard_granularity", "65536"),
                Map.entry("discard_max_hw_bytes", "" + (8 << 20)),
                Map.entry("write_zeroes_max_bytes", "" + (4 << 20)),
                Map.entry("hardware queues", "2")));
    }

    /** What a disk below a zero-copy device may need. */
    @Test
    void theShapeOfARequestsMemory() throws IOException {
        assertThat(attributes(start(SERVER.dataMode(DataMode.ZERO_COPY).dmaAlignment(512).maxSegments(17, 8192))))
                .containsEntry("dma_alignment", "511").containsEntry("max_segments", "17").containsEntry("max_segment_size", "8192");
    }

    /** Without a volatile cache every write is durable, and the block layer forgets that there is FUA. */
    @Test
    void fuaBesidesAVolatileCache() throws IOException {
        assertThat(attributes(start(SERVER.fua()))).containsEntry("write_cache", "write back").containsEntry("fua", "1");
    }

    @Test
    void withoutDiscardAndWriteZeroes() throws IOException {
        assertThat(attributes(start(SERVER.maxDiscardBytes(0).maxWriteZeroesBytes(0))))
                .containsEntry("discard_max_hw_bytes", "0").containsEntry("write_zeroes_max_bytes", "0");
    }

    private static Map<String, String> attributes(UblkDevice device) throws IOException {
        Path block = Path.of("/sys/block").resolve(device.path().getFileName());
        Map<String, String> found = new TreeMap<>();
        for (String name : new String[] {"size", "ro"}) found.put(name, Files.readString(block.resolve(name)).strip());
        try (Stream<Path> files = Files.list(block.resolve("queue")); Stream<Path> queues =
                Files.list(block.resolve("mq"))) {
            for (Path file : files.filter(Files::isReadable).filter(Files::isRegularFile).toList()) {
                found.put(file.getFileName().toString(), text(file));
            }
            found.put("hardware queues", "" + queues.count());
        }
        return found;
    }

    private static String text(Path file) {
        try {
            return Files.readString(file).strip();
        } catch (IOException notForThisDevice) {
            return "";
        }
    }
}
