package io.reactorublk.samples.cli;

import static io.reactorublk.samples.cli.OwnSystemd.patiently;
import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.DeviceStatus;
import io.reactorublk.FioLoad;
import io.reactorublk.UblkControl;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Objects;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.jspecify.annotations.Nullable;

/** What a real systemd makes of the unit for devices that are there from boot on; for the other one see {@link UdevVmIT}. */
class SystemdVmIT {

    private static final Duration LIMIT = Duration.ofMinutes(2);
    private static final String TEMPLATE = "reactor-ublk@.service";
    private static final String SERVICE = "reactor-ublk@disk.service";
    private static final int ID = 11;
    private static final Path DEVICE = Path.of("/dev/ublkb" + ID);

    @TempDir
    Path folder;

    private InstalledCommand command;
    private @Nullable OwnSystemd systemd;

    @BeforeAll
    static void install() throws IOException {
        SystemPrograms.install();
    }

    @BeforeEach
    void copyUnit() throws IOException {
        command = new InstalledCommand(folder);
        Path unit = folder.resolve(TEMPLATE);
        command.copy("systemd/" + TEMPLATE, unit);
        Files.writeString(unit, Files.readString(unit).replace("/etc/reactor-ublk/", folder + "/"));
        try (RandomAccessFile disk = new RandomAccessFile(folder.resolve("disk.img").toFile(), "rw")) {
            disk.setLength(8 << 20);
        }
        arguments("");
        Files.writeString(folder.resolve("modprobe@.service"), "[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nExecStart=/bin/true\n");
    }

    private void arguments(String more) throws IOException {
        Files.writeString(folder.resolve("disk"), "ID=%d\nARGUMENTS=file %s --depth 8%s\n".formatted(ID, folder.resolve("disk.img"), more));
    }

    @AfterEach
    void endSystemd() throws IOException {
        if (systemd != null) systemd.close();
        command.close();
    }

    private void startSystemd() throws IOException {
        systemd = new OwnSystemd(folder);
    }

    private String systemctl(String... words) throws IOException, InterruptedException {
        return Objects.requireNonNull(systemd).systemctl(words);
    }

    private String property(String name) throws IOException, InterruptedException {
        return systemctl("show", "--value", "--property=" + name, SERVICE);
    }

    private static boolean isLive(UblkControl control) {
        return control.inspect(ID).map(status -> status.state() == DeviceStatus.State.LIVE).onErrorReturn(false).blockOptional(LIMIT).orElseThrow();
    }

    // ------------------------------------------------------------------------------------------- the tests

    @Test
    void systemdFindsNothingWrongWithTheUnit() throws IOException, InterruptedException {
        Path unit = folder.resolve(TEMPLATE);
        assertThat(SystemPrograms.verify(unit, "")).isEqualTo(new SystemPrograms.Result(0, ""));
        assertThat(SystemPrograms.verify(unit, "[Service]\nNoSuchThing=0\n").output()).as("of what it does not know").contains("NoSuchThing");
        assertThat(SystemPrograms.verify(unit, "[Service]\nExecStart=\nExecStart=/missing\n").status()).as("of what is not there").isNotZero();
    }

    @Test
    void theServiceServesItsDeviceAgainWhenItsServerIsKilledAndRemovesItWhenItIsStopped() throws IOException, InterruptedException {
        startSystemd();
        systemctl("start", SERVICE);
        try (UblkControl control = UblkControl.create()) {
            patiently().until(() -> isLive(control));
            SystemPrograms.succeed("dd", "if=/dev/urandom", "of=" + DEVICE, "bs=64k", "count=4", "oflag=direct", "conv=fsync", "status=none");
            assertThat(property("MemorySwapMax")).isEqualTo("0");

            systemctl("kill", "--signal=KILL", "--kill-who=main", SERVICE);
            patiently().until(() -> !isLive(control));
            patiently().until(() -> isLive(control));
            SystemPrograms.succeed("cmp", "-n", "262144", DEVICE.toString(), folder.resolve("disk.img").toString());
            assertThat(property("NRestarts")).isEqualTo("1");

            systemctl("stop", SERVICE);
            assertThat(property("Result")).isEqualTo("success");
            assertThat(control.list().map(DeviceStatus::id).collectList().block(LIMIT)).doesNotContain(ID);
            assertThat(DEVICE).doesNotExist();
        }
    }

    /** Whoever uses it waits, and sees nothing else of that. */
    @Test
    void aDeviceThatOutlivesItsServerIsUsedThroughTheDeathsOfThree() throws IOException, InterruptedException {
        arguments(" --recovery reissue");
        startSystemd();
        systemctl("start", SERVICE);
        try (UblkControl control = UblkControl.create()) {
            patiently().until(() -> isLive(control));
            try (FioLoad load = new FioLoad(DEVICE, 8 << 20)) {
                for (int deaths = 1; deaths <= 3; deaths++) {
                    long pid = serverOf(control);
                    systemctl("kill", "--signal=KILL", "--kill-who=main", SERVICE);
                    patiently().until(() -> isLive(control) && serverOf(control) != pid);
                    assertThat(load.goesOn()).as("fio goes on").isTrue();
                }
                assertThat(property("NRestarts")).isEqualTo("3");
                load.assertVerified();
            }
            systemctl("stop", SERVICE);
            assertThat(property("Result")).isEqualTo("success");
            assertThat(DEVICE).doesNotExist();
        }
    }

    private static long serverOf(UblkControl control) {
        return control.inspect(ID).map(DeviceStatus::serverPid).blockOptional(LIMIT).orElseThrow();
    }
}
