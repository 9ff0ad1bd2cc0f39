package io.reactorublk.samples.mirror;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.reactorublk.uring.Errno;
import io.reactorublk.uring.EventLoop;
import io.reactorublk.uring.IoBuffer;
import io.reactorublk.uring.KernelException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.OptionalInt;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reactor.core.publisher.Mono;

/** Replicas in real files. */
class OpenSetLinuxIT {

    private static final int SIZE = 4 << 20;
    private static final Duration LIMIT = Duration.ofSeconds(30);

    @TempDir
    Path folder;

    private List<Path> paths;
    private EventLoop loop;
    private Arena arena;

    @BeforeEach
    void create() {
        paths = List.of(folder.resolve("a"), folder.resolve("b"), folder.resolve("c"));
        ReplicaFile.create(paths, SIZE, 1, false);
        loop = EventLoop.start("test");
        arena = Arena.ofShared();
    }

    @AfterEach
    void end() {
        loop.disposeGracefully().block(LIMIT);
        arena.close();
    }

    private Assembly assemble() {
        return Assembly.of(paths.stream().map(ReplicaFile::read).toList(), OptionalInt.empty(), false);
    }

    private OpenSet open(Faults faults) {
        return get(OpenSet.open(loop.kernel(), assemble(), LIMIT, false, faults));
    }

    private void poke(Path path, long offset, int value) throws IOException {
        try (FileChannel file = FileChannel.open(path, StandardOpenOption.WRITE)) {
            file.write(ByteBuffer.wrap(new byte[] {(byte) value}), ReplicaHeader.DATA_OFFSET + offset);
        }
    }

    private byte[] data(Path path) throws IOException {
        byte[] all = Files.readAllBytes(path);
        return Arrays.copyOfRange(all, (int) ReplicaHeader.DATA_OFFSET, all.length);
    }

    private IoBuffer buffer(int length, int value) {
        MemorySegment memory = loop.kernel().allocate(length, arena).asSlice(0, length);
        return IoBuffer.of(memory.fill((byte) value));
    }

    private static <T> T get(Mono<T> mono) {
        return Objects.requireNonNull(mono.block(LIMIT));
    }

    @Test
    void anOpenSetIsMarkedAndAClosedOneIsNot() {
        OpenSet set = open(new Faults());
        assertThat(paths).allSatisfy(path -> assertThat(ReplicaFile.read(path).header().open()).isTrue());
        set.close().block(LIMIT);
        assertThat(paths).allSatisfy(path -> assertThat(ReplicaFile.read(path).header()).satisfies(header -> {
            assertThat(header.open()).isFalse();
            assertThat(header.generation()).isEqualTo(3);
            assertThat(header.live()).isEqualTo(0b111);
        }));
    }

    @Test
    void afterACrashTheReplicasAreMadeEqualBeforeAnybodyReads() throws IOException {
        Faults faults = new Faults();
        OpenSet set = open(faults);
        set.set().mayDiffer();                                         // what a crash leaves: open, and different
        set.close().block(LIMIT);
        poke(paths.get(0), 0, 1);
        poke(paths.get(1), 3 << 20, 2);
        poke(paths.get(2), SIZE - 1, 3);
        assertThat(assemble().wasOpen()).isTrue();

        open(new Faults()).close().block(LIMIT);

        assertThat(data(paths.get(0))[0]).as("the first one's bytes").isEqualTo((byte) 1);
        assertThat(data(paths.get(1))).isEqualTo(data(paths.get(0)));
        assertThat(data(paths.get(2))).isEqualTo(data(paths.get(0)));
        assertThat(assemble().wasOpen()).isFalse();
    }

    @Test
    void aStaleReplicaIsNeverTouchedAgain() throws IOException {
        Faults faults = new Faults();
        OpenSet set = open(faults);
        byte[] before = Files.readAllBytes(paths.get(1));
        set.set().leave(0b010, "test");
        set.set().settled().block(LIMIT);
        assertThat(assemble().header().live()).as("at once").isEqualTo(0b101);
        set.close().block(LIMIT);
        poke(paths.get(0), 0, 1);
        poke(paths.get(2), 0, 1);

        open(new Faults()).close().block(LIMIT);

        assertThat(Files.readAllBytes(paths.get(1))).isEqualTo(before);
        assertThat(assemble().header().live()).isEqualTo(0b101);
    }

    @Test
    void aSurvivorThatFailsWhileAnotherIsMarkedIsMarkedToo() {
        Faults faults = new Faults();
        OpenSet set = open(faults);
        faults.fail(0, Errno.EIO, 0);
        set.set().leave(0b010, "test");
        set.set().settled().block(LIMIT);

        assertThat(set.set().live()).isEqualTo(0b100);
        set.close().block(LIMIT);
        assertThat(assemble().header().live()).isEqualTo(0b100);
    }

    @Test
    void aReplicaKeepsWhatItIsGivenBehindItsHeader() throws IOException {
        Replica replica = get(FileReplica.open(loop, paths.getFirst(), false));
        byte[] header = Arrays.copyOf(Files.readAllBytes(paths.getFirst()), (int) ReplicaHeader.DATA_OFFSET);
        replica.write(buffer(8192, 7), 4096, true).block(LIMIT);
        IoBuffer.Segment back = (IoBuffer.Segment) buffer(8192, 0);
        replica.read(back, 4096).block(LIMIT);

        assertThat(back.memory().mismatch(((IoBuffer.Segment) buffer(8192, 7)).memory())).isEqualTo(-1);
        assertThat(data(paths.getFirst())[4095]).isZero();
        assertThat(Arrays.copyOf(Files.readAllBytes(paths.getFirst()), header.length)).isEqualTo(header);
        replica.close().block(LIMIT);
    }

    @Test
    void whatIsDiscardedOrZeroedReadsAsZeroes() throws IOException {
        Replica replica = get(FileReplica.open(loop, paths.getFirst(), false));
        replica.write(buffer(SIZE, 7), 0, false).block(LIMIT);
        replica.discard(4096, 4096).block(LIMIT);
        replica.zero(16384, 4096, false).block(LIMIT);
        replica.zero(1 << 20, 1 << 20, true).block(LIMIT);
        replica.flush().block(LIMIT);

        byte[] wanted = new byte[SIZE];
        Arrays.fill(wanted, (byte) 7);
        Arrays.fill(wanted, 4096, 8192, (byte) 0);
        Arrays.fill(wanted, 16384, 20480, (byte) 0);
        Arrays.fill(wanted, 1 << 20, 2 << 20, (byte) 0);
        assertThat(data(paths.getFirst())).isEqualTo(wanted);
        replica.close().block(LIMIT);
    }

    @Test
    void aFileThatWasCutOffFailsTheReadAndNotTheWrite() throws IOException {
        Replica replica = get(FileReplica.open(loop, paths.getFirst(), false));
        try (FileChannel file = FileChannel.open(paths.getFirst(), StandardOpenOption.WRITE)) {
            file.truncate(ReplicaHeader.DATA_OFFSET + 6000);
        }
        assertThatThrownBy(() -> replica.read(buffer(8192, 0), 0).block(LIMIT))
                .isInstanceOfSatisfying(KernelException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EIO));
        replica.close().block(LIMIT);
    }
}
