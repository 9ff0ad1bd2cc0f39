package io.reactorublk.samples.mapped;

import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.DataMode;
import io.reactorublk.UblkDevice;
import io.reactorublk.UblkServer;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.Consumer;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Mapped volumes on a real kernel, with a real store. */
class MappedVmIT {

    private static final Duration LIMIT = Duration.ofSeconds(60);
    private static final int EXTENT_BYTES = 64 << 10;
    private static final long VOLUME_BYTES = 1L << 30;
    private static final long DATA_BYTES = 8 << 20;

    @TempDir
    Path folder;

    private Path data() throws IOException {
        Path path = folder.resolve("data");
        if (!Files.exists(path)) {
            try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
                file.setLength(DATA_BYTES);
            }
        }
        return path;
    }

    private Path map() {
        return folder.resolve("map");
    }

    private MappedTarget open() throws IOException {
        return MappedTarget.open(data(), map(), VOLUME_BYTES, EXTENT_BYTES);
    }

    /** Opens the volume, serves it, and closes it. */
    private void served(int queues, DataMode mode, Consumer<Path> application) throws IOException {
        try (MappedTarget volume = open()) {
            UblkDevice device = Objects.requireNonNull(UblkServer.create().size(volume.sizeBytes()).queues(queues).queueDepth(16)
                    .dataMode(mode).fua().serve(volume).start().block(LIMIT));
            try {
                application.accept(device.path());
            } finally {
                device.disposeLater().block(LIMIT);
            }
        }
    }

    private static String run(String... command) {
        try {
            Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
            String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            if (process.waitFor() != 0) throw new AssertionError(String.join(" ", command) + ":\n" + output);
            return output;
        } catch (IOException | InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    private static String[] fio(Path device, int jobs, String... more) {
        List<String> command = new ArrayList<>(List.of("fio", "--name=verify", "--filename=" + device, "--rw=randwrite",
                "--bsrange=4k-128k", "--size=512k", "--offset=30m", "--offset_increment=200m", "--numjobs=" + jobs, "--iodepth=16",
                "--ioengine=libaio", "--direct=1", "--thread", "--verify=crc32c", "--verify_fatal=1", "--group_reporting",
                "--minimal"));
        command.addAll(List.of(more));
        return command.toArray(String[]::new);
    }

    @ParameterizedTest
    @EnumSource
    void verifiesWhatItWrote(DataMode mode) throws IOException {
        for (int queues = 1; queues <= 2; queues++) {
            int jobs = queues;
            served(queues, mode, device -> run(fio(device, jobs, "--do_verify=1")));
        }
    }

    /** And what was not flushed, and written until the end, has spoilt nothing. */
    @ParameterizedTest
    @EnumSource(names = {"COPY", "ZERO_COPY"})
    void whatWasFlushedSurvivesAKill(DataMode mode) throws IOException, InterruptedException {
        Process first = MappedProcess.start(data(), map(), VOLUME_BYTES, EXTENT_BYTES, mode);
        Path device = MappedProcess.served(first);
        run(fio(device, 1, "--do_verify=0", "--end_fsync=1"));
        run("blkdiscard", "-o", "0", "-l", "1M", device.toString());
        Process load = new ProcessBuilder("fio", "--name=load", "--filename=" + device, "--rw=randwrite", "--bs=16k", "--offset=500m",
                "--size=4m", "--time_based", "--runtime=60", "--iodepth=16", "--ioengine=libaio", "--direct=1", "--thread", "--fsync=8")
                .redirectErrorStream(true).start();
        Awaitility.await().atMost(LIMIT).until(() -> allocatedBytes() > 2 << 20);
        first.destroyForcibly().waitFor();
        load.getInputStream().readAllBytes();
        assertThat(load.waitFor()).as("it loses its device").isNotZero();
        Awaitility.await().atMost(LIMIT).until(() -> !Files.exists(device));

        Process second = MappedProcess.start(data(), map(), VOLUME_BYTES, EXTENT_BYTES, mode);
        try {
            Path again = MappedProcess.served(second);
            run(fio(again, 1, "--verify_only"));
            run(fio(again, 1, "--do_verify=1"));
        } finally {
            second.destroyForcibly().waitFor();
            Awaitility.await().atMost(LIMIT).until(() -> !Files.exists(device));
        }
    }

    private long allocatedBytes() throws IOException {
        return 512 * Long.parseLong(run("stat", "--format=%b", data().toString()).strip());
    }

    @Test
    void whatIsDiscardedIsFreeAndAFullFileHarmsNobody() throws IOException {
        served(1, DataMode.ZERO_COPY, device -> {
            run(fio(device, 1, "--do_verify=1", "--end_fsync=1"));
            assertThat(failure("dd", "if=/dev/zero", "of=" + device, "bs=64k", "seek=4000", "count=128", "oflag=direct"))
                    .contains("No space left on device");
            run(fio(device, 1, "--verify_only"));
            run("blkdiscard", "-o", "" + (4000L << 16), "-l", "8M", device.toString());
            run("dd", "if=/dev/zero", "of=" + device, "bs=64k", "seek=9000", "count=64", "oflag=direct", "conv=fsync");
            run(fio(device, 1, "--verify_only"));
            run("blkdiscard", device.toString());
            run("sync", device.toString());
        });
        assertThat(allocatedBytes()).isZero();
    }

    private static String failure(String... command) {
        try {
            run(command);
        } catch (AssertionError e) {
            return String.valueOf(e.getMessage());
        }
        throw new AssertionError(String.join(" ", command) + " does not fail");
    }
}
