package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.target.NullTarget;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Flux;

/** Devices come and go without a trace. */
class StartStopVmIT extends LinuxDeviceTest {

    private static final int CYCLES = 500;
    private static final int AT_ONCE = 8;
    private static final Duration PATIENCE = Duration.ofMinutes(5);

    private final UblkServer server = UblkServer.create().size(1 << 20).queueDepth(2).maxIoBytes(4096)
            .serve(new NullTarget());

    /** After the first few, when every class is there and every pool has its threads. */
    @Test
    void fiveHundredDevicesLeaveNothing() {
        cycles(2 * AT_ONCE);
        assertNothingIsLeft();
        long descriptors = count("fd");
        long threads = count("task");
        cycles(CYCLES);
        assertNothingIsLeft();
        linux.await(() -> count("task") <= threads);
        assertThat(count("fd")).as("descriptors").isLessThanOrEqualTo(descriptors);
    }

    private void cycles(int count) {
        Long gone = Flux.range(0, count)
                .flatMap(i -> server.start().flatMap(device -> device.disposeLater().thenReturn(device)), AT_ONCE)
                .count().block(PATIENCE);
        assertThat(gone).isEqualTo(count);
    }

    private static long count(String what) {
        try (Stream<Path> entries = Files.list(Path.of("/proc/self").resolve(what))) {
            return entries.count();
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }
}
