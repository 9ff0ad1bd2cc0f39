package io.reactorublk.uring;

import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.WRITE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

/** What a file is and how much of it there is: status, space, durability, direct access. */
abstract class FileSpaceContract extends FileHarness {

    @Test
    void aStatusTellsTheSize() {
        FileStatus status = world.get(fileWith("0123456789").status());
        assertThat(status.size()).isEqualTo(10);
        assertThat(status.isRegularFile()).isTrue();
        assertThat(status.isDirectory()).isFalse();
        assertThat(status.isBlockDevice()).isFalse();
        assertThat(status.blockSize()).isPositive();
    }

    @Test
    void aStatusIsThatOfTheMoment() {
        UringFile file = fileWith("abc");
        assertThat(world.get(file.status()).size()).isEqualTo(3);
        write(file, buffer("def"), 3);
        assertThat(world.get(file.status()).size()).isEqualTo(6);
    }

    @Test
    void aDirectoryHasAStatus() {
        FileStatus status = world.get(open(world.directory(), READ).status());
        assertThat(status.isDirectory()).isTrue();
        assertThat(status.isRegularFile()).isFalse();
    }

    @Test
    void aStatusDoesNotTakeTheMemoryOfAnother() {
        UringFile file = fileWith("abc");
        FileStatus first = world.get(reactor.core.publisher.Mono.zip(file.status(), file.status())
                .filter(both -> both.getT1().equals(both.getT2())).map(both -> both.getT1()).subscribeOn(loop));
        assertThat(first.size()).isEqualTo(3);
    }

    @Test
    void syncCompletesEmpty() {
        UringFile file = fileWith("abc");
        assertThat(subscribeAndWait(file.sync())).containsExactly("complete");
        assertThat(subscribeAndWait(file.dataSync())).containsExactly("complete");
    }

    private java.util.List<Object> subscribeAndWait(reactor.core.publisher.Mono<?> mono) {
        Signals<?> signals = subscribe(mono);
        world.await(() -> !signals.heard.isEmpty());
        return signals.heard;
    }

    @Test
    void aPipeCannotBeSynchronized() {
        UringFile pipe = openPipe();
        assertRefused(Errno.EINVAL, pipe.sync()).hasMessageContaining("fsync " + pipe.path());
        assertRefused(Errno.EINVAL, pipe.dataSync()).hasMessageContaining("fdatasync " + pipe.path());
    }

    @Test
    void whatIsDirtyOutlivesTheCache() {
        UringFile file = fileWith("x".repeat(20_000));
        write(file, buffer("dirty"), 5000);
        world.get(file.dropCache());
        assertThat(content(file)).isEqualTo("x".repeat(5000) + "dirty" + "x".repeat(20_000 - 5005));
    }

    @Test
    void aPipeHasNoCacheToDrop() {
        assertRefused(Errno.ESPIPE, openPipe().dropCache()).hasMessageContaining("fadvise").hasMessageContaining("no page cache");
    }

    @Test
    void aHoleReadsAsZeroesAndKeepsTheSize() {
        UringFile file = fileWith("x".repeat(20_000));
        getIfSupported(Errno.EOPNOTSUPP, file.punchHole(4096, 8192));
        assertThat(content(file)).isEqualTo("x".repeat(4096) + "\0".repeat(8192) + "x".repeat(20_000 - 12_288));
        getIfSupported(Errno.EOPNOTSUPP, file.punchHole(16_384, 1L << 33));
        assertThat(content(file)).hasSize(20_000).endsWith("\0".repeat(20_000 - 16_384));
    }

    @Test
    void aZeroedRangeReadsAsZeroesAndKeepsTheSize() {
        UringFile file = fileWith("x".repeat(20_000));
        getIfSupported(Errno.EOPNOTSUPP, file.zeroRange(4000, 9000));
        assertThat(content(file)).isEqualTo("x".repeat(4000) + "\0".repeat(9000) + "x".repeat(7000));
        getIfSupported(Errno.EOPNOTSUPP, file.zeroRange(19_000, 10_000));
        assertThat(content(file)).hasSize(20_000).endsWith("x" + "\0".repeat(1000));
    }

    @Test
    void aFileSystemThatCannotZeroSaysSo() {
        UringFile file = open(world.fileWithoutZeroRange(), READ, WRITE);
        assertRefused(Errno.EOPNOTSUPP, file.zeroRange(0, 4096))
                .hasMessageContaining("ZERO_RANGE").hasMessageContaining("write zeroes instead");
    }

    @Test
    void allocatedSpaceMakesTheFileLonger() {
        UringFile file = fileWith("abc");
        getIfSupported(Errno.EOPNOTSUPP, file.allocate(2, 10_000));
        assertThat(content(file)).hasSize(10_002).startsWith("abc\0");
    }

    @Test
    void anEmptyRangeIsRefusedAtOnce() {
        UringFile file = fileWith("abc");
        assertThatThrownBy(() -> file.zeroRange(0, 0))
                .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("0 bytes");
        assertThatThrownBy(() -> file.punchHole(-1, 1)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> file.allocate(0, -1)).isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void directAccessWantsWhatTheStatusSays() {
        UringFile plain = fileWith("x".repeat(16_384));
        int alignment = world.get(plain.status()).directOffsetAlignment();
        UringFile direct = getIfSupported(Errno.EINVAL,
                UringFile.open(loop, plain.path(), READ, WRITE, UringOpenOption.DIRECT));
        IoBuffer buffer = buffer(4096);
        assertThat(read(direct, buffer, 4096)).isEqualTo(4096);
        assertThat(write(direct, buffer, 8192)).isEqualTo(4096);
        if (alignment > 0) assertThat(read(direct, buffer.slice(0, alignment), alignment)).isEqualTo(alignment);
        world.get(direct.close());
    }

    @Test
    void directAccessRefusesOddOffsetsAndLengths() {
        UringFile plain = fileWith("x".repeat(16_384));
        UringFile direct = getIfSupported(Errno.EINVAL,
                UringFile.open(loop, plain.path(), READ, WRITE, UringOpenOption.DIRECT));
        assertRefused(Errno.EINVAL, direct.read(buffer(4096), 1))
                .hasMessageContaining("read " + plain.path() + " at 1").hasMessageContaining("aligned");
        assertRefused(Errno.EINVAL, direct.write(buffer(100), 0)).hasMessageContaining("aligned");
        world.get(direct.close());
    }
}
