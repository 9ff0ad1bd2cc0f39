package io.reactorublk.samples.mapped;

import static io.reactorublk.samples.mapped.MappedFixture.EXTENT_BYTES;
import static io.reactorublk.samples.mapped.MappedFixture.LOGICAL;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.reactorublk.memory.MemoryDisk;
import io.reactorublk.memory.MemoryUblk;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.memory.MemoryFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reactor.core.publisher.Flux;

/** A mapped volume, as an application sees it, and what is in its files. */
class MappedTargetTest {

    private static final int PHYSICAL = 8;

    private final MappedFixture volume = new MappedFixture(MemoryUblk.create(), PHYSICAL);
    private final MemoryUblk ublk = volume.ublk;

    @AfterEach
    void nobodyBrokeARule() {
        assertThat(ublk.breaches()).isEmpty();
    }

    private static long at(int extent) {
        return (long) extent * EXTENT_BYTES;
    }

    private static byte[] filled(int bytes, int value) {
        byte[] filled = new byte[bytes];
        Arrays.fill(filled, (byte) value);
        return filled;
    }

    @Test
    void whatWasNeverWrittenReadsAsZeroesWithoutTouchingTheFile() {
        MemoryDisk disk = volume.serve(1);
        assertThat(ublk.get(disk.read(0, MappedFixture.BYTES))).containsOnly(0);
        assertThat(volume.data.calls(MemoryFile.Call.READ)).isZero();
    }

    @Test
    void readsBackWhatWasWrittenAcrossExtents() {
        MemoryDisk disk = volume.serve(2);
        byte[] ones = filled(2 * EXTENT_BYTES, 1);
        ublk.get(disk.write(at(3) + 512, ones));

        byte[] read = ublk.get(disk.read(at(3), 3 * EXTENT_BYTES));
        assertThat(Arrays.copyOfRange(read, 512, 512 + ones.length)).isEqualTo(ones);
        assertThat(Arrays.copyOf(read, 512)).containsOnly(0);
        assertThat(Arrays.copyOfRange(read, 512 + ones.length, read.length)).containsOnly(0);
    }

    @Test
    void aFreshExtentDoesNotShowWhatItsLastOwnerLeft() {
        volume.data.content(filled(PHYSICAL * EXTENT_BYTES, 0x55));
        MemoryDisk disk = volume.serve(1);
        ublk.get(disk.write(at(20) + 1024, filled(512, 1)));

        byte[] read = ublk.get(disk.read(at(20), EXTENT_BYTES));
        assertThat(Arrays.copyOfRange(read, 1024, 1536)).containsOnly(1);
        Arrays.fill(read, 1024, 1536, (byte) 0);
        assertThat(read).containsOnly(0);
    }

    @Test
    void writesThatMeetInAFreshExtentTakeOne() {
        MemoryDisk disk = volume.serve(2);
        volume.data.latency(Duration.ofMillis(1));
        ublk.get(Flux.range(0, EXTENT_BYTES / 512).flatMap(i -> disk.write(at(1) + i * 512L, filled(512, i + 1))).then());
        ublk.get(disk.flush());

        assertThat(volume.store.size()).isEqualTo(1);
        assertThat(volume.data.calls(MemoryFile.Call.ALLOCATE)).isEqualTo(1);
        for (int i = 0; i < EXTENT_BYTES / 512; i++) assertThat(ublk.get(disk.read(at(1) + i * 512L, 512))).containsOnly(i + 1);
    }

    @Test
    void aFullDataFileIsNoSpaceAndNothingElseIsHarmed() {
        MemoryDisk disk = volume.serve(2);
        for (int i = 0; i < PHYSICAL; i++) ublk.get(disk.write(at(i), filled(EXTENT_BYTES, i + 1)));

        volume.assertErrno(disk.write(at(PHYSICAL), filled(512, 9)), Errno.ENOSPC);
        for (int i = 0; i < PHYSICAL; i++) assertThat(ublk.get(disk.read(at(i), EXTENT_BYTES))).containsOnly(i + 1);
        assertThat(ublk.get(disk.read(at(PHYSICAL), EXTENT_BYTES))).containsOnly(0);
        ublk.get(disk.write(at(2), filled(512, 7)));
        ublk.get(disk.flush());
    }

    @Test
    void whatIsDiscardedCanBeTakenAgainAndReadsAsZeroes() {
        MemoryDisk disk = volume.serve(1);
        for (int i = 0; i < PHYSICAL; i++) ublk.get(disk.write(at(i), filled(EXTENT_BYTES, i + 1)));
        ublk.get(disk.flush());
        ublk.get(disk.discard(at(2), 3 * EXTENT_BYTES));
        assertThat(ublk.get(disk.read(at(2), 3 * EXTENT_BYTES))).containsOnly(0);

        for (int i = 0; i < 3; i++) ublk.get(disk.write(at(20 + i), filled(512, 9)));
        volume.assertErrno(disk.write(at(30), filled(512, 9)), Errno.ENOSPC);
        assertThat(ublk.get(disk.read(at(5), EXTENT_BYTES))).containsOnly(6);
    }

    @Test
    void whatIsDiscardedGoesBackToTheFileSystemWithTheNextFlush() {
        MemoryDisk disk = volume.serve(1);
        ublk.get(disk.write(at(0), filled(EXTENT_BYTES, 1)));
        ublk.get(disk.flush());
        ublk.get(disk.discard(at(0), EXTENT_BYTES));
        assertThat(volume.data.content()).as("not before").contains(1);
        assertThat(volume.store.size()).isEqualTo(1);
        ublk.get(disk.flush());

        assertThat(volume.store.size()).isZero();
        assertThat(volume.data.content()).containsOnly(0);
    }

    @Test
    void aPlaceIsGivenUpWhenNobodyUsesItAnyMore() {
        MemoryDisk disk = volume.serve(1);
        ublk.get(disk.write(at(0), filled(EXTENT_BYTES, 1)));
        volume.data.latency(Duration.ofSeconds(1));
        AtomicBoolean discarded = new AtomicBoolean();
        disk.write(at(0), filled(512, 2)).subscribe();
        ublk.settle();
        disk.discard(at(0), EXTENT_BYTES).subscribe(nothing -> {}, e -> {}, () -> discarded.set(true));
        ublk.settle();
        assertThat(discarded).as("the write is still in the kernel").isFalse();
        ublk.advanceTime(Duration.ofSeconds(1));

        assertThat(discarded).isTrue();
        assertThat(ublk.get(disk.read(at(0), EXTENT_BYTES))).containsOnly(0);
    }

    @Test
    void aPartOfAnExtentIsZeroedWhereItIs() {
        MemoryDisk disk = volume.serve(1);
        ublk.get(disk.write(at(0), filled(2 * EXTENT_BYTES, 1)));
        ublk.get(disk.punchHole(at(0) + 512, EXTENT_BYTES));
        ublk.get(disk.punchHole(at(9) + 512, 512));

        byte[] read = ublk.get(disk.read(at(0), 2 * EXTENT_BYTES));
        assertThat(Arrays.copyOfRange(read, 512, 512 + EXTENT_BYTES)).containsOnly(0);
        assertThat(Arrays.copyOf(read, 512)).containsOnly(1);
        assertThat(Arrays.copyOfRange(read, 512 + EXTENT_BYTES, read.length)).containsOnly(1);
        ublk.get(disk.flush());
        assertThat(volume.store.size()).isEqualTo(2);
    }

    @Test
    void zeroesThatMustStayAllocatedTakeAnExtent() {
        MemoryDisk disk = volume.serve(1);
        ublk.get(disk.writeZeroes(at(4), EXTENT_BYTES));
        ublk.get(disk.flush());

        assertThat(volume.store.size()).isEqualTo(1);
        assertThat(ublk.get(disk.read(at(4), EXTENT_BYTES))).containsOnly(0);
    }

    @Test
    void onlyAFlushCommitsAndOnlyIfThereIsSomething() {
        MemoryDisk disk = volume.serve(1);
        ublk.get(disk.write(at(0), filled(512, 1)));
        assertThat(volume.store.commits()).isZero();
        ublk.get(disk.flush());
        assertThat(volume.store.commits()).isEqualTo(1);
        ublk.get(disk.write(at(0), filled(512, 2)));
        ublk.get(disk.flush());

        assertThat(volume.store.commits()).as("no extent was taken").isEqualTo(1);
        assertThat(volume.data.calls(MemoryFile.Call.SYNC)).isEqualTo(2);
    }

    @Test
    void aDurableWriteToAFreshExtentCommitsItsPlace() {
        MemoryDisk disk = volume.serve(1);
        ublk.get(disk.writeDurably(at(0), filled(512, 1)));
        assertThat(volume.store.size()).isEqualTo(1);
        assertThat(Arrays.copyOf(volume.data.durableContent(), 512)).containsOnly(1);
        ublk.get(disk.writeDurably(at(0), filled(512, 2)));

        assertThat(volume.store.commits()).isEqualTo(1);
        assertThat(volume.data.calls(MemoryFile.Call.SYNC)).as("the second is durable by itself").isEqualTo(1);
    }

    @Test
    void flushesThatMeetShareOne() {
        MemoryDisk disk = volume.serve(2);
        ublk.get(disk.write(at(0), filled(512, 1)));
        volume.data.latency(Duration.ofMillis(1));
        ublk.get(Flux.range(0, 8).flatMap(i -> disk.flush()).then());

        assertThat(volume.data.calls(MemoryFile.Call.SYNC)).isLessThanOrEqualTo(2);
    }

    @Test
    void whoStopsAVolumeLosesNothing() {
        MemoryDisk disk = volume.serve(2);
        ublk.get(disk.write(at(0), filled(512, 1)));
        volume.stop();
        volume.powerCut();
        MemoryDisk again = volume.serve(1);

        assertThat(ublk.get(again.read(at(0), 512))).containsOnly(1);
    }

    @Test
    void afterAFlushThatFailedNoneSucceeds() {
        MemoryDisk disk = volume.serve(1);
        ublk.get(disk.write(at(0), filled(512, 1)));
        volume.data.fail(MemoryFile.Call.SYNC, Errno.EIO);
        volume.assertErrno(disk.flush(), Errno.EIO);
        volume.assertErrno(disk.flush(), Errno.EIO);
        volume.assertErrno(disk.writeDurably(at(1), filled(512, 1)), Errno.EIO);

        assertThat(volume.store.commits()).isZero();
        assertThat(ublk.get(disk.read(at(0), 512))).containsOnly(1);
    }

    @Test
    void aStoreThatFailsFailsTheFlush() {
        MemoryDisk disk = volume.serve(1);
        ublk.get(disk.write(at(0), filled(512, 1)));
        volume.store.breakDown();
        volume.assertErrno(disk.flush(), Errno.EIO);
        assertThat(ublk.get(disk.read(at(0), 512))).containsOnly(1);
    }

    @Test
    void anExtentThatCannotBeMadeZeroesIsTakenByNobody() {
        MemoryDisk disk = volume.serve(1);
        volume.data.fail(MemoryFile.Call.ALLOCATE, Errno.EIO);
        volume.assertErrno(disk.write(at(0), filled(512, 1)), Errno.EIO);
        ublk.get(disk.write(at(0), filled(512, 2)));

        assertThat(ublk.get(disk.read(at(0), 512))).containsOnly(2);
        for (int i = 1; i < PHYSICAL; i++) ublk.get(disk.write(at(i), filled(512, 3)));
    }

    @Test
    void refusesADataFileThatHasBecomeTooShort() {
        MemoryDisk disk = volume.serve(1);
        ublk.get(disk.write(0, filled(4 * EXTENT_BYTES, 1)));
        volume.stop();
        assertThatIllegalArgumentException().isThrownBy(() -> new ExtentMap(volume.store, LOGICAL, 3, EXTENT_BYTES,
                        reactor.core.scheduler.Schedulers.immediate(), reactor.core.scheduler.Schedulers.immediate()))
                .withMessage("the data file has room for 3 extents of 4096 bytes, and the map has put data into the 4th");
    }

    @Test
    void refusesWhatIsNoVolume(@TempDir Path folder) throws IOException {
        Path data = Files.write(folder.resolve("data"), new byte[64 << 10]);
        Path map = folder.resolve("map");
        assertThatIllegalArgumentException().isThrownBy(() -> MappedTarget.open(data, map, 1 << 20, 100_000))
                .withMessage("extents of 100000 bytes: powers of two from 65536 to 1073741824 are possible");
        assertThatIllegalArgumentException().isThrownBy(() -> MappedTarget.open(data, map, 100_000, 64 << 10))
                .withMessage("a volume of 100000 bytes: multiples of the extent (65536) up to 1099511627776 are possible; "
                        + "larger extents allow more");
        assertThatIllegalArgumentException().isThrownBy(() -> MappedTarget.open(data, map, 1 << 20, 128 << 10))
                .withMessage(data + " is shorter than one extent of 131072 bytes; make it longer");
        assertThat(map).doesNotExist();
    }
}
