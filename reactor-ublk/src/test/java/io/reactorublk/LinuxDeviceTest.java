package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.extension.RegisterExtension;

/** What only a real kernel can show. Nothing may be left of a test's devices. */
abstract class LinuxDeviceTest {

    @RegisterExtension
    final LogCapture log = new LogCapture();

    final LinuxDevices linux = new LinuxDevices();
    private final List<UblkDevice> devices = new ArrayList<>();
    private String footprint;

    @BeforeEach
    final void lookAround() {
        footprint = linux.footprint();
    }

    @AfterEach
    final void nothingIsLeft() {
        devices.forEach(this::stop);
        assertNothingIsLeft();
        assertThat(log.errors()).as("errors logged").isEmpty();
    }

    final void assertNothingIsLeft() {
        try {
            linux.await(() -> linux.footprint().equals(footprint));
        } catch (RuntimeException e) {
            assertThat(linux.footprint()).as("what is left").isEqualTo(footprint);
        }
    }

    final UblkDevice start(UblkServer server) {
        return track(Objects.requireNonNull(linux.get(server.start())));
    }

    final UblkDevice track(UblkDevice device) {
        devices.add(device);
        return device;
    }

    final void stop(UblkDevice device) {
        linux.get(device.disposeLater());
    }
}
