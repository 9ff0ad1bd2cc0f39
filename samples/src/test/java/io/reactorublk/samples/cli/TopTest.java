package io.reactorublk.samples.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What it makes of the counters of the block layer. */
class TopTest {

    private static final long SECOND = 1_000_000_000L;

    @TempDir
    Path devices;

    private void stat(String device, String counters) throws IOException {
        Files.createDirectories(devices.resolve(device));
        Files.writeString(devices.resolve(device).resolve("stat"), counters + "\n");
    }

    @Test
    void ratesAreOfTheTimeBetweenTwoLooks() throws IOException {
        stat("ublkb3", "100 0 800 5 10 0 160 5 0 9 10 1 0 8 0 2 1");
        stat("sda", "1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1");
        Top top = new Top(devices);
        assertThat(top.look(SECOND)).as("nothing to compare with yet").containsExactly(Top.HEADING);

        stat("ublkb3", "  300 0 2848 9 14 0 192 9 7 9 10 5 0 8 0 12 1");
        stat("ublkb10", "1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1");
        assertThat(top.look(3 * SECOND)).satisfiesExactly(
                heading -> assertThat(heading).isEqualTo(Top.HEADING),
                row -> assertThat(row).containsExactly("/dev/ublkb3", "100", "512K", "2", "8K", "2", "5", "7"));
    }

    @Test
    void aDeviceThatWentAwayIsLeftOut() throws IOException {
        stat("ublkb0", "1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1");
        Top top = new Top(devices);
        top.look(0);
        Files.delete(devices.resolve("ublkb0/stat"));
        assertThat(top.look(SECOND)).containsExactly(Top.HEADING);
    }
}
