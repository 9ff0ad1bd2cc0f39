package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.target.FileTarget;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** fio writes and verifies while the server under it is replaced again and again: it sees pauses, and no error. */
class UpgradeVmIT extends LinuxDeviceTest {

    private static final long DEVICE_BYTES = 8 << 20;
    /** As many as there is time for, on a machine that is emulated on a busy one. */
    private static final int HAND_OVERS = 100;
    private static final int LEAST_HAND_OVERS = 10;
    private static final Duration TIME = Duration.ofSeconds(25);

    @TempDir
    Path directory;

    private final List<Duration> pauses = new ArrayList<>();

    private Path file() throws IOException {
        Path path = Files.createTempFile(directory, "disk", ".img");
        try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
            file.setLength(DEVICE_BYTES);
        }
        return path;
    }

    private static UblkServer server(Path file) {
        return UblkServer.create().size(DEVICE_BYTES).queueDepth(32).maxIoBytes(64 << 10).recovery(Recovery.REISSUE)
                .serve(FileTarget.of(file));
    }

    /** Applications: write at random places and read back what they wrote, until they are told to end. */
    private static final class Load implements AutoCloseable {

        /** Fields of fio's terse output, version 3. */
        private static final int ERROR = 4;
        private static final int READ_KIB = 5;
        private static final int WRITTEN_KIB = 46;

        private final Process fio;

        Load(Path device) {
            fio = Shell.start("fio", "--name=load", "--filename=" + device, "--rw=randwrite", "--bs=4k",
                    "--size=" + DEVICE_BYTES, "--iodepth=16", "--ioengine=libaio", "--direct=1", "--thread",
                    "--time_based", "--runtime=600", "--verify=crc32c", "--verify_fatal=1", "--verify_backlog=64", "--minimal");
        }

        /** It goes on, and each operation of it will end. */
        boolean goesOn() {
            return fio.isAlive();
        }

        void assertVerified() {
            fio.toHandle().destroy();                                  // ends its turn and tells; Process.destroy would not listen
            String output = Shell.end(fio).output();
            String[] fields = output.lines().filter(line -> line.startsWith("3;")).findFirst()
                    .orElseThrow(() -> new AssertionError("fio told nothing: " + output)).split(";", -1);
            assertThat(fields[ERROR]).as(output).isEqualTo("0");
            assertThat(Long.parseLong(fields[WRITTEN_KIB])).as("KiB written").isPositive();
            assertThat(Long.parseLong(fields[READ_KIB])).as("KiB read back").isPositive();
        }

        @Override
        public void close() {
            fio.destroyForcibly();
        }
    }

    private void printPauses() {
        pauses.sort(null);
        System.out.printf("handed over under load %d times: a pause of %d ms at least, %d in the middle, %d at most%n", pauses.size(),
                pauses.getFirst().toMillis(), pauses.get(pauses.size() / 2).toMillis(), pauses.getLast().toMillis());
    }

    private static Duration since(long startNanos) {
        return Duration.ofNanos(System.nanoTime() - startNanos);
    }

    @Test
    void manyServersServeOneDevice() throws IOException {
        Path file = file();
        UblkDevice device = start(server(file));
        try (Load load = new Load(device.path())) {
            long begin = System.nanoTime();
            for (int i = 0; i < HAND_OVERS && (i < LEAST_HAND_OVERS || since(begin).compareTo(TIME) < 0); i++) {
                long start = System.nanoTime();
                linux.get(device.handOver());
                device = track(Objects.requireNonNull(linux.get(server(file).recover(device.id()))));
                pauses.add(since(start));
                linux.elapse(Duration.ofMillis(20));                   // for the load to get somewhere
                assertThat(load.goesOn()).as("fio goes on").isTrue();
            }
            printPauses();
            load.assertVerified();
        }
        stop(device);
    }
}
