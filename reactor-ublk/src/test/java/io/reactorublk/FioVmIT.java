package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.target.FileTarget;
import io.reactorublk.target.RamTarget;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import reactor.core.publisher.Mono;

/** fio writes at random places and reads back what it wrote, with checksums. */
class FioVmIT extends LinuxDeviceTest {

    private static final long DEVICE_BYTES = 32 << 20;
    private static final int LEAST_DEPTH = 2;
    private static final String SHAPES = """
            1,   1
            1,  16
            1, 128
            2,   1
            2,  16
            2, 128
            """;

    @TempDir
    Path directory;

    @ParameterizedTest
    @CsvSource(textBlock = SHAPES)
    void verifiesWhatItWroteToMemory(int queues, int depth) {
        try (RamTarget ram = new RamTarget(DEVICE_BYTES)) {
            UblkDevice device = start(UblkServer.create().size(DEVICE_BYTES).queues(queues)
                    .queueDepth(Math.max(LEAST_DEPTH, depth)).serve(ram));
            Shell.succeed(fio(device, queues, depth));
            stop(device);
        }
    }

    @ParameterizedTest
    @CsvSource(textBlock = SHAPES)
    void verifiesWhatItWroteToAFile(int queues, int depth) throws IOException {
        UblkDevice device = start(UblkServer.create().size(DEVICE_BYTES).queues(queues)
                .queueDepth(Math.max(LEAST_DEPTH, depth)).serve(FileTarget.of(file())));
        Shell.succeed(fio(device, queues, depth));
        stop(device);
    }

    private Path file() throws IOException {
        Path path = Files.createTempFile(directory, "disk", ".img");
        try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
            file.setLength(DEVICE_BYTES);
        }
        return path;
    }

    /** Or the tests above could not fail. */
    @Test
    void findsAByteThatIsNotAsItWasWritten() {
        RecordingTarget target = new RecordingTarget(DEVICE_BYTES);
        AtomicBoolean spoilt = new AtomicBoolean();
        UblkDevice device = start(UblkServer.create().size(DEVICE_BYTES).serve(queue -> queue.answer(request -> {
            boolean spoil = request.operation() == Operation.WRITE && !spoilt.getAndSet(true);
            if (spoil) request.data().set(java.lang.foreign.ValueLayout.JAVA_BYTE, 100,
                    (byte) (request.data().get(java.lang.foreign.ValueLayout.JAVA_BYTE, 100) + 1));
            return Mono.just(target.apply(request));
        })));
        Shell.Result result = Shell.run(fio(device, 1, 16));
        assertThat(result.status()).isNotZero();
        assertThat(result.output()).contains("verify");
    }

    @Test
    void verifiesTwoDevicesAtOnce() {
        try (RamTarget first = new RamTarget(DEVICE_BYTES); RamTarget second = new RamTarget(DEVICE_BYTES)) {
            List<Process> running = new ArrayList<>();
            List<UblkDevice> devices = new ArrayList<>();
            for (RamTarget ram : List.of(first, second)) {
                UblkDevice device = start(UblkServer.create().size(DEVICE_BYTES).serve(ram));
                devices.add(device);
                running.add(Shell.start(fio(device, 1, 32)));
            }
            for (Process fio : running) {
                Shell.Result result = Shell.end(fio);
                assertThat(result.status()).as(result.output()).isZero();
            }
            devices.forEach(this::stop);
        }
    }

    /** One job for each queue, each with a part of the device of its own. */
    private static String[] fio(UblkDevice device, int jobs, int depth) {
        return new String[] {"fio", "--name=verify", "--filename=" + device.path(), "--rw=randwrite", "--bs=4k", "--size=2m",
            "--offset_increment=4m", "--numjobs=" + jobs, "--iodepth=" + depth, "--ioengine=libaio", "--direct=1",
                    "--thread",
            "--verify=crc32c", "--verify_fatal=1", "--do_verify=1", "--group_reporting", "--minimal"};
    }
}
