package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.target.RamTarget;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import reactor.test.StepVerifier;

/** The thread that cares for a device dies, while it is served: nobody waits for ever, and others can remove it. */
class LostControlVmIT {

    private static final long DEVICE_BYTES = 32 << 20;

    @RegisterExtension
    final LogCapture log = new LogCapture();
    private final LinuxDevices linux = new LinuxDevices();

    @Test
    void aDeviceThatLostItsControlLoopEnds() {
        try (UblkControl control = UblkControl.create()) {
            UblkDevice device = linux.get(UblkServer.create().size(DEVICE_BYTES).queues(2).control(control)
                    .serve(new RamTarget(DEVICE_BYTES)).start());
            control.join().schedule(() -> {
                throw new OutOfMemoryError("for a test");
            });
            control.leave();
            StepVerifier.create(device.onDispose()).expectError(OutOfMemoryError.class).verify(LinuxDevices.LIMIT);
            linux.await(() -> !Files.exists(device.path()));
            assertThat(log.takeErrors()).anySatisfy(error -> assertThat(error).contains("reactor-ublk remove " + device.id()));
            linux.get(control.remove(device.id()));
            assertThat(Files.exists(Path.of("/dev/ublkc" + device.id()))).isFalse();
        }
    }
}
