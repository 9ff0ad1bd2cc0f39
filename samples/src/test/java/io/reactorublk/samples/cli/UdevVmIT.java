package io.reactorublk.samples.cli;

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
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.jspecify.annotations.Nullable;

/** What the rules of {@code src/main/udev} do, in a real systemd-udevd, among its own. */
class UdevVmIT {

    private static final Duration LIMIT = Duration.ofMinutes(2);
    private static final Path CONTROL = Path.of("/dev/ublk-control");
    private static final Path RULES = Path.of("/run/udev/rules.d");
    private static final List<String> OURS = List.of("60-reactor-ublk.rules", "61-reactor-ublk-unprivileged.rules");
    private static final int NOBODY = 65534;
    private static final int SOMEBODY_ELSE = 65533;
    private static final long BYTES = 8 << 20;

    @TempDir
    static Path folder;

    private static InstalledCommand command;
    private static @Nullable Process udevd;
    private static Set<PosixFilePermission> permissions;

    @BeforeAll
    static void loadRules() throws IOException, InterruptedException {
        SystemPrograms.install();
        permissions = Files.getPosixFilePermissions(CONTROL);
        command = new InstalledCommand(folder);
        Files.createDirectories(RULES);
        Files.copy(InstalledCommand.sources().resolve("udev").resolve(OURS.getFirst()), RULES.resolve(OURS.getFirst()));
        command.copy("udev/" + OURS.getLast(), RULES.resolve(OURS.getLast()));
        if (Files.exists(Path.of("/run/udev/control"))) {
            SystemPrograms.succeed("udevadm", "control", "--reload");
        } else {
            udevd = new ProcessBuilder(SystemPrograms.daemon("systemd-udevd")).redirectErrorStream(true)
                    .redirectOutput(folder.resolve("udevd").toFile()).start();
            await().atMost(LIMIT).until(() -> SystemPrograms.run("udevadm", "control", "--ping").status() == 0);
        }
    }

    @AfterAll
    static void unloadRules() throws IOException, InterruptedException {
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

    private static String[] as(int user, String... words) {
        List<String> all = new ArrayList<>(List.of("setpriv", "--reuid=" + user, "--regid=" + user, "--clear-groups"));
        all.addAll(List.of(words));
        return all.toArray(String[]::new);
    }

    /** May read class path and JDK wherever they are, and no more. */
    private Process serveAsNobody() throws IOException {
        List<String> server = new ArrayList<>(List.of(as(NOBODY, "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")));
        server.addAll(InstalledCommand.java());
        server.addAll(List.of("add", "ram", "--size", Long.toString(BYTES), "--unprivileged", "--foreground", "--depth", "8", "--max-io", "64K"));
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

    @Test
    void anOrdinaryUserGetsWhatHeHasMade() throws IOException, InterruptedException {
        SystemPrograms.succeed("udevadm", "trigger", "--sysname-match=" + CONTROL.getFileName());
        settle();
        assertNode(CONTROL, 0, "rw-rw-rw-");

        Process server = serveAsNobody();
        try {
            Path device = served(server);
            settle();
            assertNode(device, NOBODY, "rw-------");
            assertNode(character(device), NOBODY, "rw-------");
            assertUnscheduled(device);
            SystemPrograms.succeed(as(NOBODY, read(device)));
            assertThat(SystemPrograms.run(as(SOMEBODY_ELSE, read(device))).output()).contains("Permission denied");

            try (UblkControl control = UblkControl.create()) {
                int id = Integer.parseInt(device.toString().replaceAll("\\D", ""));
                assertThat(control.stopIfUnused(id).block(LIMIT)).as("nobody has it open, udev neither").isTrue();
            }
            await().atMost(LIMIT).until(() -> !server.isAlive());
            assertThat(device).doesNotExist();
        } finally {
            server.destroyForcibly();
        }
    }

    @Test
    void whatRootHasMadeStaysRoots() throws IOException, InterruptedException {
        UblkDevice device = Objects.requireNonNull(UblkServer.create().size(BYTES).queueDepth(8).serve(new NullTarget()).start().block(LIMIT));
        try (UblkControl control = UblkControl.create()) {
            settle();
            assertNode(character(device.path()), 0, "rw-------");
            assertThat(Files.getAttribute(device.path(), "unix:uid")).isEqualTo(0);
            assertThat(SystemPrograms.run(as(NOBODY, read(device.path()))).output()).contains("Permission denied");
            assertUnscheduled(device.path());
            assertThat(control.stopIfUnused(device.id()).block(LIMIT)).as("nobody has it open, udev neither").isTrue();
        } finally {
            device.disposeLater().block(LIMIT);
        }
    }
}
