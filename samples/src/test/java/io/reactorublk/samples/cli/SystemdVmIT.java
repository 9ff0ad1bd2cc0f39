package io.reactorublk.samples.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.reactorublk.DeviceStatus;
import io.reactorublk.FioLoad;
import io.reactorublk.UblkControl;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.awaitility.core.ConditionFactory;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.jspecify.annotations.Nullable;

/** What a real systemd makes of the unit of {@code src/main/systemd}. */
class SystemdVmIT {

    private static final Duration LIMIT = Duration.ofMinutes(2);
    private static final String TEMPLATE = "reactor-ublk@.service";
    private static final String SERVICE = "reactor-ublk@disk.service";
    private static final int ID = 11;
    private static final Path DEVICE = Path.of("/dev/ublkb" + ID);

    /** What the unit wants, and what each service wants: nothing here, or systemd would set up a whole machine. */
    private static final List<String> EMPTY = List.of("sysinit.target", "basic.target", "shutdown.target", "local-fs.target",
            "multi-user.target", "start.target");

    @TempDir
    Path folder;

    private InstalledCommand command;
    private @Nullable Process systemd;

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
        for (String name : EMPTY) Files.writeString(folder.resolve(name), "[Unit]\nDefaultDependencies=no\n");
        Files.writeString(folder.resolve("modprobe@.service"), "[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nExecStart=/bin/true\n");
    }

    private void arguments(String more) throws IOException {
        Files.writeString(folder.resolve("disk"), "ID=%d\nARGUMENTS=file %s --depth 8%s\n".formatted(ID, folder.resolve("disk.img"), more));
    }

    @AfterEach
    void endSystemd() throws IOException {
        if (systemd != null) systemd.destroyForcibly();
        command.close();
    }

    // ------------------------------------------------------------------------------------------- a systemd of our own

    /**
     * The first process of a namespace of its own, with a /run of its own, so that no other one is in its way. It ends when this
     * process does.
     */
    private void startSystemd() throws IOException, InterruptedException {
        ProcessBuilder start = new ProcessBuilder("unshare", "--pid", "--mount", "--cgroup", "--uts", "--fork", "--kill-child", "--mount-proc", "bash", "-ec",
                "mount -t tmpfs run /run; mount -t cgroup2 cgroup2 /sys/fs/cgroup; exec " + SystemPrograms.daemon("systemd")
                        + " --system --unit=start.target --log-target=console --show-status=no");
        start.environment().put("container", "test");
        start.environment().put("SYSTEMD_UNIT_PATH", folder.toString());
        systemd = start.redirectErrorStream(true).redirectOutput(folder.resolve("systemd").toFile()).start();
        patiently().ignoreExceptions().until(() -> run("systemctl", "is-active", "start.target").status() == 0);
    }

    private SystemPrograms.Result run(String... words) throws IOException, InterruptedException {
        List<String> inside = new ArrayList<>(List.of("nsenter", "--target", Long.toString(first()), "--mount", "--pid"));
        inside.addAll(List.of(words));
        return SystemPrograms.run(inside.toArray(String[]::new));
    }

    /** The one child of {@code unshare}, which is systemd. */
    private long first() {
        return Objects.requireNonNull(systemd).children().findFirst().orElseThrow().pid();
    }

    private String systemctl(String... words) throws IOException, InterruptedException {
        List<String> all = new ArrayList<>(List.of("systemctl"));
        all.addAll(List.of(words));
        SystemPrograms.Result result = run(all.toArray(String[]::new));
        assertThat(result.status()).as("%s: %s\n%s", all, result.output(), Files.readString(folder.resolve("systemd"))).isZero();
        return result.output().strip();
    }

    private String property(String name) throws IOException, InterruptedException {
        return systemctl("show", "--value", "--property=" + name, SERVICE);
    }

    /** Seldom, as each look takes an emulated machine its time. */
    private static ConditionFactory patiently() {
        return await().atMost(LIMIT).pollDelay(Duration.ZERO).pollInterval(Duration.ofMillis(500));
    }

    private static boolean isLive(UblkControl control) {
        return control.inspect(ID).map(status -> status.state() == DeviceStatus.State.LIVE).onErrorReturn(false).blockOptional(LIMIT).orElseThrow();
    }

    // ------------------------------------------------------------------------------------------- the tests

    @Test
    void systemdFindsNothingWrongWithTheUnit() throws IOException, InterruptedException {
        assertThat(verify("")).isEqualTo(new SystemPrograms.Result(0, ""));
        assertThat(verify("[Service]\nNoSuchThing=0\n").output()).as("of what it does not know").contains("NoSuchThing");
        assertThat(verify("[Service]\nExecStart=\nExecStart=/missing\n").status()).as("of what is not there").isNotZero();
    }

    /** With something added, among the units of this machine. */
    private SystemPrograms.Result verify(String addition) throws IOException, InterruptedException {
        Path unit = Files.createDirectories(folder.resolve("verified")).resolve(TEMPLATE);
        Files.writeString(unit, Files.readString(folder.resolve(TEMPLATE)) + addition);
        return SystemPrograms.run("systemd-analyze", "verify", "--man=no", unit.toString());
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
