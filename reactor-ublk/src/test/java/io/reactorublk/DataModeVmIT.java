package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.target.FileTarget;
import io.reactorublk.target.RamTarget;
import io.reactorublk.target.StripeTarget;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** fio writes and reads back in every way that bytes can travel. */
class DataModeVmIT extends LinuxDeviceTest {

    private static final long DEVICE_BYTES = 32 << 20;

    @TempDir
    Path directory;

    @ParameterizedTest
    @EnumSource
    void verifiesWhatItWroteToMemory(DataMode mode) {
        try (RamTarget ram = new RamTarget(DEVICE_BYTES)) {
            verify(UblkServer.create().size(DEVICE_BYTES).dataMode(mode).serve(ram));
        }
    }

    @ParameterizedTest
    @EnumSource
    void verifiesWhatItWroteToAFile(DataMode mode) throws IOException {
        verify(UblkServer.create().size(DEVICE_BYTES).dataMode(mode).serve(FileTarget.of(file(DEVICE_BYTES))));
    }

    /** Most requests lie on several files, and none of the parts begins where its request does. */
    @ParameterizedTest
    @EnumSource
    void verifiesWhatItWroteToAStripe(DataMode mode) throws IOException {
        StripeTarget stripe = StripeTarget.of(16 << 10, List.of(file(11 << 20), file(12 << 20), file(11 << 20)));
        assertThat(stripe.sizeBytes()).isGreaterThan(DEVICE_BYTES);
        verify(UblkServer.create().size(DEVICE_BYTES).dataMode(mode).serve(stripe));
    }

    private Path file(long bytes) throws IOException {
        Path path = Files.createTempFile(directory, "disk", ".img");
        try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
            file.setLength(bytes);
        }
        return path;
    }

    private void verify(UblkServer server) {
        for (int queues = 1; queues <= 2; queues++) {
            UblkDevice device = start(server.queues(queues));
            Shell.succeed("fio", "--name=verify", "--filename=" + device.path(), "--rw=randwrite", "--bsrange=4k-128k", "--size=2m",
                    "--offset_increment=8m", "--numjobs=" + queues, "--iodepth=16", "--ioengine=libaio", "--direct=1", "--thread",
                    "--verify=crc32c", "--verify_fatal=1", "--do_verify=1", "--group_reporting", "--minimal");
            stop(device);
        }
    }
}
