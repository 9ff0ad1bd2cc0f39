package io.reactorublk.samples.cli;

import static io.reactorublk.samples.cli.OwnSystemd.patiently;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.reactorublk.UblkControl;
import io.reactorublk.UblkDevice;
import io.reactorublk.UblkServer;
import io.reactorublk.target.NullTarget;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.jspecify.annotations.Nullable;

/** What the rules of {@code src/main/udev} do in a real systemd-udevd, among its own, and the unit that they want in a real systemd. */
class UdevVmIT {

    private static final Duration LIMIT = Duration.ofMinutes(2);
    private static final Path CONTROL = Path.of("/dev/ublk-control");
    private static final Path RULES = Path.of("/run/udev/rules.d");
    private static final List<String> OURS = List.of("60-reactor-ublk.rules", "61-reactor-ublk-unprivileged.rules");
    private static final String UNIT = "reactor-ublk-owner@.service";
    /** The same, but a JVM of its own, as it is for users. */
    private static final String BOUNDED = "bounded@%s.service";
    private static final int NOBODY = 65534;
    private static final int SOMEBODY_ELSE = 65533;
    private static final long BYTES = 8 << 20;

    @TempDir
    static Path folder;

    private static InstalledCommand command;
    private static @Nullable Process udevd;
    private static @Nullable OwnSystemd systemd;
    /** What became of the units: a line for each, `ublkc0-4711 success`, after what it has said. */
    private static Path outcomes;
    /** While this is there, units for block devices wait. */
    private static Path held;
    private static Path unit;
    private static Set<PosixFilePermission> permissions;
    private static int nextId = 7;

    /** Another one for each test: what comes late from the one before is of another device. */
    private final int id = nextId++;

    @BeforeAll
    static void loadRules() throws IOException, InterruptedException {
        SystemPrograms.install();
        permissions = Files.getPosixFilePermissions(CONTROL);
        command = new InstalledCommand(folder);
        Files.createDirectories(RULES);
        for (String rule : OURS) Files.copy(InstalledCommand.sources().resolve("udev").resolve(rule), RULES.resolve(rule));
        if (Files.exists(Path.of("/run/udev/control"))) {
            SystemPrograms.succeed("udevadm", "control", "--reload");
        } else {
            udevd = new ProcessBuilder(SystemPrograms.daemon("systemd-udevd")).redirectErrorStream(true)
                    .redirectOutput(folder.resolve("udevd").toFile()).start();
            await().atMost(LIMIT).until(() -> SystemPrograms.run("udevadm", "control", "--ping").status() == 0);
        }
        outcomes = Files.createFile(folder.resolve("outcomes"));
        held = folder.resolve("held");
        unit = folder.resolve(UNIT);
        command.copy("systemd/" + UNIT, unit);
        Path bounded = folder.resolve(BOUNDED.formatted(""));
        Files.writeString(bounded, Files.readString(unit).replaceFirst("ExecStart=\\S+", "ExecStart=" + String.join(" ", InstalledCommand.java())));
        Files.writeString(Files.createDirectories(folder.resolve(UNIT + ".d")).resolve("test.conf"), """
                [Service]
                # To ask this JVM.
                PrivateNetwork=no
                RestrictAddressFamilies=
                ExecStartPre=+/bin/sh -c 'case %%i in ublkb*) while test -e %1$s; do sleep 0.2; done ;; esac'
                ExecStopPost=+/bin/sh -c 'echo %%i $SERVICE_RESULT >>%2$s'
                StandardError=append:%2$s
                """.formatted(held, outcomes));
        systemd = new OwnSystemd(folder);
    }

    @AfterAll
    static void unloadRules() throws IOException, InterruptedException {
        if (systemd != null) systemd.close();
        for (String rule : OURS) Files.deleteIfExists(RULES.resolve(rule));
        if (udevd == null) {
            SystemPrograms.succeed("udevadm", "control", "--reload");
        } else {
            SystemPrograms.succeed("udevadm", "control", "--exit");
            assertThat(Files.readString(folder.resolve("udevd"))).as("what udev complains of").doesNotContain("reactor-ublk");
        }
        Files.setPosixFilePermissions(CONTROL, permissions);
        command.close();
    }

    /** Until udev has done all that the kernel has told it of. */
    private static void settle() throws IOException, InterruptedException {
        SystemPrograms.succeed("udevadm", "settle", "--timeout=60");
    }

    /** Until so many units for this node have ended, each of them well. */
    private static void awaitGiven(Path node, int units) throws IOException {
        patiently().until(() -> outcomes(node).size() >= units);
        assertThat(outcomes(node)).as("%s", Files.readString(outcomes)).hasSize(units).allMatch(outcome -> outcome.endsWith(" success"));
    }

    private static List<String> outcomes(Path node) throws IOException {
        return Files.readAllLines(outcomes).stream().filter(line -> line.startsWith(node.getFileName() + "-")).toList();
    }

    private static String[] as(int user, String... words) {
        List<String> all = new ArrayList<>(List.of("setpriv", "--reuid=" + user, "--regid=" + user, "--clear-groups"));
        all.addAll(List.of(words));
        return all.toArray(String[]::new);
    }

    /** May read class path and JDK wherever they are, and no more. */
    private Process serveAs(int user, int id) throws IOException {
        List<String> server = new ArrayList<>(List.of(as(user, "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")));
        server.addAll(InstalledCommand.java());
        server.addAll(List.of("add", "ram", "--id", Integer.toString(id), "--size", Long.toString(BYTES), "--unprivileged", "--foreground",
                "--depth", "8", "--max-io", "64K"));
        return new ProcessBuilder(server).redirectError(folder.resolve("server").toFile()).start();
    }

    /** Skips what is logged. */
    private static Path served(Process server) throws IOException {
        String line = "";
        while (line != null && !line.contains(": served")) line = server.inputReader().readLine();
        assertThat(line).as("%s", Files.readString(folder.resolve("server"))).isNotNull();
        return Path.of(line.replaceFirst(": served.*", ""));
    }

    private static void assertNode(Path node, int owner, String mode) throws IOException {
        assertThat(Files.getAttribute(node, "unix:uid")).as("owner of " + node).isEqualTo(owner);
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(node))).as("mode of " + node).isEqualTo(mode);
    }

    private static void assertUnscheduled(Path device) throws IOException {
        assertThat(Path.of("/sys/block", device.getFileName().toString(), "queue/scheduler")).content().contains("[none]");
    }

    private static Path character(Path device) {
        return Path.of(device.toString().replace("ublkb", "ublkc"));
    }

    private static String[] read(Path device) {
        return new String[] {"dd", "if=" + device, "of=/dev/null", "bs=4096", "count=1", "iflag=direct", "status=none"};
    }

    private static UblkDevice serveAsRoot(int id) {
        return Objects.requireNonNull(UblkServer.create().id(id).size(BYTES).queueDepth(8).serve(new NullTarget()).start().block(LIMIT));
    }

    private static void stopUnused(UblkControl control, int id) {
        assertThat(control.stopIfUnused(id).block(LIMIT)).as("nobody has it open, udev neither").isTrue();
    }

    /** Until it has removed its device. */
    private static void awaitEnd(Process server) {
        await().atMost(LIMIT).until(() -> !server.isAlive());
    }

    @BeforeEach
    void letUsersIn() throws IOException, InterruptedException {
        SystemPrograms.succeed("udevadm", "trigger", "--sysname-match=" + CONTROL.getFileName());
        settle();
        assertNode(CONTROL, 0, "rw-rw-rw-");
        Files.writeString(outcomes, "");
    }

    @Test
    void anOrdinaryUserGetsWhatHeHasMade() throws IOException, InterruptedException {
        Process server = serveAs(NOBODY, id);
        try (UblkControl control = UblkControl.create()) {
            Path device = served(server);
            settle();
            awaitGiven(device, 1);
            assertNode(device, NOBODY, "rw-------");
            assertNode(character(device), NOBODY, "rw-------");
            assertUnscheduled(device);
            SystemPrograms.succeed(as(NOBODY, read(device)));
            assertThat(SystemPrograms.run(as(SOMEBODY_ELSE, read(device))).output()).contains("Permission denied");

            SystemPrograms.succeed("udevadm", "trigger", "--action=change", "--sysname-match=" + device.getFileName());
            settle();
            assertNode(device, NOBODY, "rw-------");
            // That makes it the group's of disks, as for a new one.
            SystemPrograms.succeed("udevadm", "trigger", "--action=add", "--sysname-match=" + device.getFileName());
            settle();
            awaitGiven(device, 2);
            assertNode(device, NOBODY, "rw-------");

            // Within all the bounds of the unit.
            Files.setAttribute(device, "unix:uid", 0);
            Objects.requireNonNull(systemd).systemctl("start", BOUNDED.formatted(device.getFileName()));
            assertNode(device, NOBODY, "rw-------");

            stopUnused(control, id);
            awaitEnd(server);
            assertThat(device).doesNotExist();
        } finally {
            server.destroyForcibly();
        }
    }

    @Test
    void whatRootHasMadeStaysRoots() throws IOException, InterruptedException {
        UblkDevice device = serveAsRoot(id);
        try (UblkControl control = UblkControl.create()) {
            settle();
            awaitGiven(character(device.path()), 1);
            awaitGiven(device.path(), 1);
            assertNode(character(device.path()), 0, "rw-------");
            assertNode(device.path(), 0, "rw-rw----");
            assertThat(SystemPrograms.run(as(NOBODY, read(device.path()))).output()).contains("Permission denied");
            assertUnscheduled(device.path());
            stopUnused(control, id);
        } finally {
            device.disposeLater().block(LIMIT);
        }
    }

    /** A unit that is late, as a JVM is, neither gives the next device of that number to the user of the one before nor keeps its unit away. */
    @Test
    void aNumberThatIsUsedAgainIsTheNextOnes() throws IOException, InterruptedException {
        Files.createFile(held);
        Process server = serveAs(NOBODY, id);
        Process next = null;
        try (UblkControl control = UblkControl.create()) {
            Path node = served(server);
            settle();
            control.stop(id).block(LIMIT);
            awaitEnd(server);
            UblkDevice device = serveAsRoot(id);
            try {
                awaitGiven(character(node), 2);
                settle();
                assertThat(outcomes(node)).isEmpty();
                Files.delete(held);
                awaitGiven(node, 2);
                assertNode(character(node), 0, "rw-------");
                assertNode(node, 0, "rw-rw----");
            } finally {
                device.disposeLater().block(LIMIT);
            }
            next = serveAs(SOMEBODY_ELSE, id);
            served(next);
            awaitGiven(node, 3);
            assertNode(character(node), SOMEBODY_ELSE, "rw-------");
            assertNode(node, SOMEBODY_ELSE, "rw-------");
            assertThat(SystemPrograms.run(as(NOBODY, read(node))).output()).contains("Permission denied");
            control.stop(id).block(LIMIT);
            awaitEnd(next);
        } finally {
            Files.deleteIfExists(held);
            server.destroyForcibly();
            if (next != null) next.destroyForcibly();
        }
    }

    @Test
    void systemdFindsNothingWrongWithTheUnit() throws IOException, InterruptedException {
        assertThat(SystemPrograms.verify(unit, "")).isEqualTo(new SystemPrograms.Result(0, ""));
        assertThat(SystemPrograms.verify(unit, "NoSuchThing=0\n").output()).as("of what it does not know").contains("NoSuchThing");
    }
}
