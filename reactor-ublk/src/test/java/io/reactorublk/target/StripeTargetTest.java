package io.reactorublk.target;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.reactorublk.UblkDevice;
import io.reactorublk.UblkServer;
import io.reactorublk.memory.MemoryDisk;
import io.reactorublk.memory.MemoryUblk;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.memory.MemoryFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import reactor.core.publisher.Mono;

/** A stripe over files in memory. */
class StripeTargetTest {

    private static final int CHUNK_BYTES = 4096;
    private static final int BLOCK_BYTES = 512;
    private static final int REQUESTS = 300;

    private MemoryUblk ublk = MemoryUblk.create();

    private List<MemoryFile> files(int count, int bytes) {
        return IntStream.range(0, count).mapToObj(i -> ublk.kernel().file(path(i).toString(), new byte[bytes])).toList();
    }

    private static Path path(int index) {
        return Path.of("/disk-" + index);
    }

    private static StripeTarget stripe(int files) {
        return StripeTarget.of(CHUNK_BYTES, IntStream.range(0, files).mapToObj(StripeTargetTest::path).toList());
    }

    private MemoryDisk serve(StripeTarget target, long bytes) {
        return ublk.disk(Objects.requireNonNull(ublk.get(server(target, bytes).start())));
    }

    private UblkServer server(StripeTarget target, long bytes) {
        return UblkServer.create().kernel(ublk.kernel()).size(bytes).fua().serve(target);
    }

    private static byte[] bytes(int length, SplittableRandom random) {
        byte[] bytes = new byte[length];
        random.nextBytes(bytes);
        return bytes;
    }

    /** The device ends in the middle of a chunk, and the files no later than they must. */
    @ParameterizedTest
    @CsvSource({"2, 1", "3, 2", "3, 3", "5, 4", "8, 5"})
    void isTheSameAsOneDisk(int count, long seed) {
        ublk = MemoryUblk.create(seed);
        SplittableRandom random = new SplittableRandom(seed);
        byte[] model = new byte[(4 * count + 1) * CHUNK_BYTES + 3 * BLOCK_BYTES];
        files(count, 4 * CHUNK_BYTES);
        ublk.kernel().file(path(0).toString(), new byte[5 * CHUNK_BYTES]);
        ublk.kernel().file(path(1).toString(), new byte[4 * CHUNK_BYTES + 3 * BLOCK_BYTES]);
        UblkDevice device = Objects.requireNonNull(ublk.get(server(stripe(count), model.length).queues(2).start()));
        MemoryDisk disk = ublk.disk(device);

        for (int i = 0; i < REQUESTS; i++) {
            int blocks = model.length / BLOCK_BYTES;
            int first = random.nextInt(blocks);
            int from = first * BLOCK_BYTES;
            int length = (1 + random.nextInt(blocks - first)) * BLOCK_BYTES;
            byte[] content = new byte[length];
            int operation = random.nextInt(6);
            if (operation < 2) random.nextBytes(content);
            switch (operation) {
                case 0 -> ublk.get(disk.write(from, content));
                case 1 -> ublk.get(disk.writeDurably(from, content));
                case 2 -> ublk.get(disk.discard(from, length));
                case 3 -> ublk.get(disk.writeZeroes(from, length));
                case 4 -> ublk.get(disk.punchHole(from, length));
                default -> {
                    byte[] expected = Arrays.copyOfRange(model, from, from + length);
                    assertThat(ublk.get(disk.read(from, length))).as("request %d", i).isEqualTo(expected);
                    content = expected;
                }
            }
            System.arraycopy(content, 0, model, from, length);
        }
        assertThat(ublk.get(disk.read(0, model.length))).isEqualTo(model);
        ublk.get(device.disposeLater());
        ublk.assertNothingIsLeft();
        assertThat(ublk.breaches()).isEmpty();
    }

    @Test
    void chunksLieOnEachFileInTurn() {
        List<MemoryFile> files = files(3, 2 * CHUNK_BYTES);
        MemoryDisk disk = serve(stripe(3), 6 * CHUNK_BYTES);
        for (int chunk = 0; chunk < 6; chunk++) {
            byte[] content = new byte[CHUNK_BYTES];
            Arrays.fill(content, (byte) chunk);
            ublk.get(disk.write((long) chunk * CHUNK_BYTES, content));
        }

        for (int chunk = 0; chunk < 6; chunk++) {
            int from = chunk / 3 * CHUNK_BYTES;
            assertThat(Arrays.copyOfRange(files.get(chunk % 3).content(), from, from + CHUNK_BYTES)).containsOnly(chunk);
        }
    }

    @Test
    void aFlushMakesAllFilesDurable() {
        List<MemoryFile> files = files(3, CHUNK_BYTES);
        MemoryDisk disk = serve(stripe(3), 3 * CHUNK_BYTES);
        byte[] ones = new byte[3 * CHUNK_BYTES];
        Arrays.fill(ones, (byte) 1);
        ublk.get(disk.write(0, ones));
        assertThat(files.getLast().durableContent()).containsOnly(0);
        ublk.get(disk.flush());

        for (MemoryFile file : files) assertThat(file.durableContent()).containsOnly(1);
    }

    @Test
    void aDurableWriteIsDurableOnEachFileItIsOn() {
        List<MemoryFile> files = files(3, CHUNK_BYTES);
        MemoryDisk disk = serve(stripe(3), 3 * CHUNK_BYTES);
        byte[] ones = new byte[2 * CHUNK_BYTES];
        Arrays.fill(ones, (byte) 1);
        ublk.get(disk.writeDurably(0, ones));

        assertThat(files.get(0).durableContent()).containsOnly(1);
        assertThat(files.get(1).durableContent()).containsOnly(1);
        assertThat(files).extracting(file -> file.calls(MemoryFile.Call.SYNC)).containsOnly(0L);
    }

    @Test
    void aFileThatFailsFailsWhatIsOnItAndNothingElse() {
        List<MemoryFile> files = files(3, CHUNK_BYTES);
        MemoryDisk disk = serve(stripe(3), 3 * CHUNK_BYTES);
        files.get(1).failAlways(MemoryFile.Call.WRITE, Errno.EIO).failAlways(MemoryFile.Call.SYNC, Errno.EIO)
                .failAlways(MemoryFile.Call.ALLOCATE, Errno.EOPNOTSUPP);

        assertErrno(disk.write(0, new byte[3 * CHUNK_BYTES]), Errno.EIO);
        assertErrno(disk.flush(), Errno.EIO);
        assertErrno(disk.discard(0, 3 * CHUNK_BYTES), Errno.EOPNOTSUPP);
        ublk.get(disk.write(0, new byte[CHUNK_BYTES]));
        ublk.get(disk.write(2 * CHUNK_BYTES, new byte[CHUNK_BYTES]));
        ublk.get(disk.discard(2 * CHUNK_BYTES, CHUNK_BYTES));
        files.get(1).heal();
        ublk.get(disk.write(0, new byte[3 * CHUNK_BYTES]));
        ublk.get(disk.flush());
    }

    private void assertErrno(Mono<Void> operation, Errno errno) {
        assertThatThrownBy(() -> ublk.get(operation)).isInstanceOfSatisfying(KernelException.class,
                e -> assertThat(e.errno()).isEqualTo(errno));
    }

    @Test
    void onePartThatFailsWaitsForTheOthers() {
        List<MemoryFile> files = files(2, CHUNK_BYTES);
        MemoryDisk disk = serve(stripe(2), 2 * CHUNK_BYTES);
        files.get(0).fail(MemoryFile.Call.WRITE, Errno.EIO);
        files.get(1).latency(java.time.Duration.ofSeconds(1));
        List<Throwable> errors = new ArrayList<>();
        disk.write(0, new byte[2 * CHUNK_BYTES]).subscribe(nothing -> {}, errors::add);
        ublk.settle();

        assertThat(errors).isEmpty();
        assertThat(disk.inFlight()).isEqualTo(1);
        ublk.advanceTime(java.time.Duration.ofSeconds(1));
        assertThat(errors).hasSize(1);
    }

    @Test
    void aShortTransferIsContinued() {
        List<MemoryFile> files = files(2, CHUNK_BYTES);
        MemoryDisk disk = serve(stripe(2), 2 * CHUNK_BYTES);
        byte[] content = bytes(2 * CHUNK_BYTES, new SplittableRandom(1));
        files.get(1).shorten(MemoryFile.Call.WRITE, 700);
        ublk.get(disk.write(0, content));
        files.get(0).shorten(MemoryFile.Call.READ, 5);

        assertThat(ublk.get(disk.read(0, content.length))).isEqualTo(content);
    }

    @Test
    void refusesAFileThatHasNoRoomForItsPart() {
        files(2, CHUNK_BYTES);
        String before = ublk.footprint();
        assertThatThrownBy(() -> serve(stripe(2), 2 * CHUNK_BYTES + BLOCK_BYTES)).hasMessage("/disk-0 has 4096 bytes, and the device of "
                + "8704 needs 4608 of it; serve a device of size(sizeBytes()), or make the file longer: truncate -s 4608 /disk-0");
        assertThat(ublk.footprint()).isEqualTo(before);
    }

    @Test
    void refusesAFileThatIsMissingAndClosesTheOthers() {
        files(2, CHUNK_BYTES);
        String before = ublk.footprint();
        assertThatThrownBy(() -> serve(stripe(3), 2 * CHUNK_BYTES)).hasMessage("open /disk-2: ENOENT (No such file or directory). "
                + "Make it first, for example with: truncate -s 1G /disk-2");
        assertThat(ublk.footprint()).isEqualTo(before);
    }

    @Test
    void refusesChunksThatHoldNoBlock() {
        files(2, CHUNK_BYTES);
        StripeTarget target = StripeTarget.of(512, List.of(path(0), path(1)));
        assertThatThrownBy(() -> ublk.get(server(target, 8192).blockSize(4096).start()))
                .hasMessage("chunks of 512 bytes hold no block of the device, which has 4096; make them larger");
    }

    @Test
    void refusesWhatIsNoStripe() {
        assertThatIllegalArgumentException().isThrownBy(() -> StripeTarget.of(3000, List.of(path(0), path(1))))
                .withMessage("a chunk of 3000 bytes: powers of two from 512 on are possible");
        assertThatIllegalArgumentException().isThrownBy(() -> StripeTarget.of(4096, List.of(path(0))))
                .withMessage("1 files: a stripe needs at least two; for one there is FileTarget");
        assertThatIllegalArgumentException().isThrownBy(() -> StripeTarget.of(4096, List.of(path(0), path(1), Path.of("/x/../disk-0"))))
                .withMessage("/x/../disk-0 is named twice, and would overwrite itself; name each file once");
    }

    @Test
    void itsSizeIsThatOfTheWholeChunksOfTheShortest(@TempDir Path folder) throws IOException {
        Path small = Files.write(folder.resolve("small"), new byte[2 * CHUNK_BYTES + 100]);
        Path large = Files.write(folder.resolve("large"), new byte[5 * CHUNK_BYTES]);
        Path link = Files.createSymbolicLink(folder.resolve("link"), small);

        assertThat(StripeTarget.of(CHUNK_BYTES, List.of(large, small)).sizeBytes()).isEqualTo(4 * CHUNK_BYTES);
        assertThatIllegalArgumentException().isThrownBy(() -> StripeTarget.of(CHUNK_BYTES, List.of(small, link)).sizeBytes())
                .withMessage(small + " and " + link + " are one file; name each file once");
    }
}
