package io.reactorublk.target;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.reactorublk.UblkServer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

/** A RAM disk, as an application sees it. */
class RamTargetVmIT {

    private static final int SIZE = 1 << 20;

    @Test
    void readsBackWhatWasWritten() throws IOException {
        byte[] bytes = Served.bytes(256 << 10, 1);
        try (RamTarget ram = new RamTarget(SIZE); Served disk = Served.start(server(ram).queues(2))) {
            assertThat(disk.read(0, SIZE / 2)).as("at first").containsOnly(0);

            disk.write(60 << 10, bytes);                               // neither begins nor ends with a chunk

            assertThat(disk.read(60 << 10, bytes.length)).isEqualTo(bytes);
            assertThat(disk.read(0, 60 << 10)).as("before it").containsOnly(0);
            assertThat(disk.read((60 + 256) << 10, 64 << 10)).as("after it").containsOnly(0);
        }
    }

    @Test
    void whatIsDiscardedOrZeroedReadsAsZeroes() throws IOException {
        byte[] bytes = Served.bytes(256 << 10, 2);
        try (RamTarget ram = new RamTarget(SIZE); Served disk = Served.start(server(ram))) {
            disk.write(0, bytes);
            disk.discard(4096, 68 << 10);
            disk.punch(100 << 10, 4096);
            disk.zero(200 << 10, 4096);

            fill(bytes, 4096, 68 << 10);
            fill(bytes, 100 << 10, 4096);
            fill(bytes, 200 << 10, 4096);
            assertThat(disk.read(0, bytes.length)).isEqualTo(bytes);
        }
    }

    private static void fill(byte[] bytes, int offset, int length) {
        Arrays.fill(bytes, offset, offset + length, (byte) 0);
    }

    @Test
    void isTheSameForEveryDeviceThatServesIt() throws IOException {
        byte[] bytes = Served.bytes(4096, 3);
        try (RamTarget ram = new RamTarget(SIZE)) {
            try (Served first = Served.start(server(ram)); Served second = Served.start(server(ram))) {
                first.write(8192, bytes);
                assertThat(second.read(8192, 4096)).isEqualTo(bytes);
            }
            try (Served later = Served.start(server(ram))) {
                assertThat(later.read(8192, 4096)).isEqualTo(bytes);
            }
        }
    }

    @Test
    void takesMemoryForWhatIsWrittenOnly() throws IOException {
        try (RamTarget ram = new RamTarget(10L << 30); Served disk = Served.start(server(ram))) {
            long before = residentBytes();
            for (long offset = 0; offset < 10L << 30; offset += 1L << 28) disk.write(offset, Served.bytes(4096, 4));
            disk.discard(0, 10L << 30);

            assertThat(residentBytes() - before).isLessThan(256 << 20);
            assertThat(disk.read(9L << 30, 4096)).containsOnly(0);
        }
    }

    @Test
    void failsWhatLiesBeyondItsEnd() throws IOException {
        try (RamTarget ram = new RamTarget(SIZE); Served disk = Served.start(server(ram).size(2 * SIZE))) {
            assertThatThrownBy(() -> disk.read(SIZE, 4096)).hasMessage("Input/output error");
            assertThatThrownBy(() -> disk.write(SIZE, Served.bytes(4096, 5))).hasMessage("No space left on device");
            assertThat(disk.read(SIZE - 4096, 4096)).containsOnly(0);
        }
    }

    @Test
    void hasNoContentOnceItIsClosed() throws IOException {
        RamTarget ram = new RamTarget(SIZE);
        try (Served disk = Served.start(server(ram))) {
            ram.close();
            assertThatThrownBy(() -> disk.read(0, 4096)).hasMessage("Input/output error");
        }
        assertThatIllegalStateException().isThrownBy(() -> Served.start(server(ram)))
                .withMessage("RamTarget(1048576 bytes) is closed and has no content any more");
    }

    @Test
    void refusesASizeThatCannotBe() {
        assertThatIllegalArgumentException().isThrownBy(() -> new RamTarget(0))
                .withMessage("a RAM disk of 0 bytes: from 1 to 140737488289792 are possible");
        assertThatIllegalArgumentException().isThrownBy(() -> new RamTarget(Long.MAX_VALUE));
    }

    private static long residentBytes() throws IOException {
        return Files.readAllLines(Path.of("/proc/self/status")).stream().filter(line -> line.startsWith("VmRSS"))
                .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")) << 10).findFirst().orElseThrow();
    }

    private static UblkServer server(RamTarget ram) {
        return UblkServer.create().size(ram.sizeBytes()).queueDepth(16).serve(ram);
    }
}
