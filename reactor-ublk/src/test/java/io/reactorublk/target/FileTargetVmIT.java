package io.reactorublk.target;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.reactorublk.BlockRequest;
import io.reactorublk.BlockTarget;
import io.reactorublk.Operation;
import io.reactorublk.UblkServer;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A file as a disk: what an application does to the device, and what has become of the file. */
class FileTargetVmIT {

    private static final int SIZE = 8 << 20;

    /** A file system that gives space back, and cannot zero a range. */
    @TempDir
    static Path tmpfs;

    @BeforeAll
    static void mount() {
        Served.run("mount", "-t", "tmpfs", "disks", tmpfs.toString());
    }

    @AfterAll
    static void unmount() {
        Served.run("umount", tmpfs.toString());
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void whatTheDeviceIsGivenIsInTheFile(boolean direct) throws IOException {
        Path path = file();
        byte[] bytes = Served.bytes(1 << 20, 1);
        FileTarget target = direct ? FileTarget.of(path).direct() : FileTarget.of(path);
        try (Served disk = Served.start(server(target).size(target.sizeBytes()).queues(2))) {
            disk.write(12288, bytes);
            disk.sync();
            assertThat(disk.read(12288, 512 << 10)).isEqualTo(Arrays.copyOf(bytes, 512 << 10));
        }
        assertThat(Arrays.copyOfRange(Files.readAllBytes(path), 12288, 12288 + bytes.length)).isEqualTo(bytes);
        assertThat(openFiles()).doesNotContain(path.toString());
    }

    @Test
    void whatIsDiscardedIsFree() throws IOException {
        Path path = file();
        try (Served disk = Served.start(server(FileTarget.of(path)))) {
            long full = fill(disk, path);
            disk.discard(1 << 20, 1 << 20);

            assertThat(full - allocatedBytes(path)).isEqualTo(1 << 20);
            assertThat(disk.read(1 << 20, 4096)).containsOnly(0);
        }
    }

    @Test
    void whatIsZeroedIsFreeToo() throws IOException {
        Path path = file();
        try (Served disk = Served.start(server(FileTarget.of(path)))) {
            long full = fill(disk, path);
            disk.punch(1 << 20, 1 << 20);

            assertThat(full - allocatedBytes(path)).isEqualTo(1 << 20);
            assertThat(disk.read(1 << 20, 4096)).containsOnly(0);
            assertThat(disk.read(2 << 20, 4096)).isNotEqualTo(new byte[4096]);
        }
    }

    @Test
    void whatIsZeroedStaysAllocatedIfItMust() throws IOException {
        List<BlockRequest> below = new CopyOnWriteArrayList<>();
        try (RamTarget ram = new RamTarget(SIZE);
                Served disk = Served.start(server(recording(below, ram)));
                Served onTop = Served.start(server(FileTarget.of(disk.path())))) {
            onTop.write(0, Served.bytes(12288, 8));
            onTop.punch(0, 4096);
            onTop.zero(8192, 4096);

            assertThat(below).filteredOn(request -> request.operation() == Operation.WRITE_ZEROES).satisfiesExactly(
                    punched -> assertThat(punched.isNoUnmap()).isFalse(),
                    zeroed -> assertThat(zeroed.isNoUnmap()).isTrue());
            assertThat(onTop.read(0, 4096)).containsOnly(0);
            assertThat(onTop.read(8192, 4096)).containsOnly(0);
        }
    }

    private static BlockTarget recording(List<BlockRequest> requests, BlockTarget target) {
        return queue -> target.serve(queue.via(flux -> flux.doOnNext(requests::add)));
    }

    @Test
    void theBlockLayerWritesZeroesWhereTheFileSystemCannot() throws IOException {
        Path path = file();
        List<String> lines = new CopyOnWriteArrayList<>();
        try (Served disk = Served.start(server(Filters.trace(lines::add).apply(FileTarget.of(path))))) {
            disk.write(0, Served.bytes(128 << 10, 2));
            disk.zero(0, 64 << 10);

            assertThat(disk.read(0, 64 << 10)).containsOnly(0);
            assertThat(lines).anyMatch(line -> line.contains("WRITE_ZEROES") && line.contains("fails with EOPNOTSUPP"));
        }
    }

    @Test
    void aFlushReachesTheDiskBelow() throws IOException {
        List<String> below = new CopyOnWriteArrayList<>();
        try (RamTarget ram = new RamTarget(SIZE);
                Served disk = Served.start(server(Filters.trace(below::add).apply(ram)));
                Served onTop = Served.start(server(FileTarget.of(disk.path())))) {
            onTop.write(0, Served.bytes(4096, 3));
            assertThat(below).noneMatch(line -> line.startsWith("FLUSH"));

            onTop.sync();

            assertThat(below).anyMatch(line -> line.startsWith("WRITE")).anyMatch(line -> line.startsWith("FLUSH"));
        }
    }

    /** Durable when it is answered. That a FLUSH follows all the same is Linux's way with O_DSYNC on a block device. */
    @Test
    void aFuaWriteIsDurableByItself() throws IOException {
        List<BlockRequest> requests = new CopyOnWriteArrayList<>();
        List<String> lines = new CopyOnWriteArrayList<>();
        try (RamTarget ram = new RamTarget(SIZE);
                Served disk = Served.start(server(Filters.trace(line -> lines.add("below: " + line)).apply(ram)));
                Served onTop = Served.start(server(Filters.trace(line -> lines.add("on top: " + line))
                        .apply(recording(requests, FileTarget.of(disk.path())))).fua())) {
            onTop.write(4096, Served.bytes(4096, 4), StandardOpenOption.DSYNC);

            assertThat(requests).filteredOn(request -> request.operation() == Operation.WRITE).singleElement()
                    .satisfies(write -> assertThat(write.isFua()).isTrue());
            assertThat(lines).filteredOn(line -> !line.contains("READ")).map(FileTargetVmIT::inShort).startsWith(
                    "on top: WRITE arrives", "below: WRITE arrives", "below: WRITE is done", "below: FLUSH arrives",
                    "below: FLUSH is done", "on top: WRITE is done");
        }
    }

    private static String inShort(String line) {
        return line.replaceAll(" of .*\\)", "").replaceAll(",.*", "");
    }

    @Test
    void aDeviceThatIsWriteThroughIsNeverFlushed() throws IOException {
        List<String> lines = new CopyOnWriteArrayList<>();
        try (Served disk = Served.start(server(Filters.trace(lines::add).apply(FileTarget.of(file()))).writeThrough())) {
            disk.write(0, Served.bytes(4096, 5), StandardOpenOption.DSYNC);
            disk.sync();

            assertThat(lines).anyMatch(line -> line.startsWith("WRITE")).noneMatch(line -> line.startsWith("FLUSH"));
        }
    }

    @Test
    void aBlockDeviceIsAFileToo() throws IOException {
        byte[] bytes = Served.bytes(4096, 6);
        try (RamTarget ram = new RamTarget(SIZE); Served disk = Served.start(server(ram))) {
            FileTarget target = FileTarget.of(disk.path()).direct();
            assertThat(target.sizeBytes()).isEqualTo(SIZE);
            try (Served onTop = Served.start(server(target).size(target.sizeBytes()))) {
                onTop.write(SIZE - 4096, bytes);
                onTop.discard(0, 1 << 20);
            }
            assertThat(disk.read(SIZE - 4096, 4096)).isEqualTo(bytes);
        }
    }

    @Test
    void whatAFileHasLostIsAnError() throws IOException {
        Path path = file();
        try (Served disk = Served.start(server(FileTarget.of(path)))) {
            fill(disk, path);
            try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
                file.setLength(5 * 512 + 100);
            }
            assertThatThrownBy(() -> disk.read(8192, 4096)).hasMessage("Input/output error");
            assertThatThrownBy(() -> disk.read(0, 4096)).satisfiesAnyOf(
                    e -> assertThat(e).hasMessage("Input/output error"),
                    e -> assertThat(e).hasMessage("read 2560 of 4096 bytes"));
        }
    }

    @Test
    void aReadOnlyFileIsServedIfAskedFor() throws IOException {
        Path path = file();
        Files.write(path, Served.bytes(4096, 7), StandardOpenOption.WRITE);
        Served.run("mount", "-o", "remount,ro", tmpfs.toString());
        try {
            assertThatThrownBy(() -> Served.start(server(FileTarget.of(path)))).hasMessage("open " + path
                    + ": EROFS (Read-only file system). This user may not write it; "
                    + "grant it (chmod, chown, mount -o remount,rw), or serve it readOnly()");
            try (Served disk = Served.start(server(FileTarget.of(path).readOnly()).readOnly())) {
                assertThat(disk.read(0, 4096)).isEqualTo(Served.bytes(4096, 7));
            }
        } finally {
            Served.run("mount", "-o", "remount,rw", tmpfs.toString());
        }
    }

    @Test
    void refusesAFileThatIsMissing() {
        Path path = tmpfs.resolve("none");

        assertThatThrownBy(() -> Served.start(server(FileTarget.of(path)))).hasMessage("open " + path
                + ": ENOENT (No such file or directory). Make it first, for example with: truncate -s 1G " + path);
        assertThatThrownBy(() -> FileTarget.of(path).sizeBytes())
                .hasMessage(path + " is missing. Make it first, for example with: truncate -s 1G " + path);
    }

    @Test
    void refusesADirectory() {
        assertThatThrownBy(() -> Served.start(server(FileTarget.of(tmpfs))))
                .hasMessage("open " + tmpfs + ": EISDIR (Is a directory). It is a directory; name a file in it");
        assertThatThrownBy(() -> Served.start(server(FileTarget.of(tmpfs).readOnly()).readOnly()))
                .hasMessage(tmpfs + " is neither a regular file nor a block device but a directory; name a file in it");
        assertThatThrownBy(() -> FileTarget.of(tmpfs).sizeBytes())
                .hasMessage(tmpfs + " is neither a regular file nor a block device but a directory; name a file in it");
    }

    @Test
    void refusesWhatHasNoPlaces() {
        assertThatThrownBy(() -> Served.start(server(FileTarget.of(Path.of("/dev/null")))))
                .hasMessage("/dev/null is neither a regular file nor a block device but something without an end; name one");
    }

    @Test
    void refusesAFileShorterThanTheDevice() throws IOException {
        Path path = file();

        assertThatThrownBy(() -> Served.start(server(FileTarget.of(path)).size(SIZE + 512))).hasMessage(path
                + " has 8388608 bytes, less than the device, which has 8389120; "
                + "serve a device of size(8388608), or make the file longer: truncate -s 8389120 " + path);
        assertThat(openFiles()).doesNotContain(path.toString());
    }

    @Test
    void refusesBlocksTooSmallForDirectIo() {
        try (RamTarget ram = new RamTarget(SIZE); Served disk = Served.start(server(ram).blockSize(4096))) {
            FileTarget target = FileTarget.of(disk.path()).direct();
            assertThatThrownBy(() -> Served.start(server(target))).hasMessage("O_DIRECT on " + disk.path()
                    + " takes multiples of 4096 bytes, and the device's blocks have 512; "
                    + "serve it with blockSize(4096), or leave out direct()");
            Served.start(server(target).blockSize(4096)).close();
        }
    }

    /** Fills the file through the device; returns what that allocated. */
    private static long fill(Served disk, Path path) throws IOException {
        for (int offset = 0; offset < SIZE; offset += 1 << 20) disk.write(offset, Served.bytes(1 << 20, offset));
        disk.sync();
        return allocatedBytes(path);
    }

    private static long allocatedBytes(Path path) {
        return 512 * Long.parseLong(Served.run("stat", "--format=%b", path.toString()));
    }

    private static List<String> openFiles() throws IOException {
        try (var descriptors = Files.list(Path.of("/proc/self/fd"))) {
            return descriptors.map(fd -> {
                try {
                    return Files.readSymbolicLink(fd).toString();
                } catch (IOException closed) {
                    return "";
                }
            }).toList();
        }
    }

    private static Path file() throws IOException {
        Path path = Files.createTempFile(tmpfs, "disk", ".img");
        try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
            file.setLength(SIZE);
        }
        return path;
    }

    private static UblkServer server(BlockTarget target) {
        return UblkServer.create().size(SIZE).queueDepth(16).serve(target);
    }
}
