package io.reactorublk.samples.mirror;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The program, as a process. */
class MirrorMainVmIT {

    private static final Duration LIMIT = Duration.ofMinutes(4);

    @TempDir
    Path folder;

    private Process mirror(Object... arguments) throws IOException {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-Xmx256m", "-Xshare:auto",
                "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "--enable-native-access=ALL-UNNAMED", "-cp",
                System.getProperty("java.class.path"), MirrorMain.class.getName()));
        for (Object argument : arguments) command.add(argument.toString());
        return new ProcessBuilder(command).redirectErrorStream(true).start();
    }

    private static String awaitLine(BufferedReader lines, String part) throws IOException {
        StringBuilder all = new StringBuilder();
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            all.append(line).append('\n');
            if (line.contains(part)) return line;
        }
        throw new AssertionError("no \"" + part + "\" in\n" + all);
    }

    private static int end(Process process) throws InterruptedException {
        assertThat(process.waitFor(LIMIT.toSeconds(), TimeUnit.SECONDS)).as("ends").isTrue();
        return process.exitValue();
    }

    @Test
    void theDemonstrationFindsNothingLost() throws IOException, InterruptedException {
        Process demo = mirror("--size", "48M");
        String output = new String(demo.getInputStream().readAllBytes(), java.nio.charset.StandardCharsets.UTF_8);

        assertThat(end(demo)).as(output).isZero();
        assertThat(output).contains("replica 1 breaks", "byte by byte: equal", "against the device: equal",
                "is left out: replica 1 is stale", "alone is refused", "one replica broke, nothing was lost")
                .doesNotContain("WRONG");
        assertThat(Files.readString(Path.of("/proc/mounts"))).doesNotContain("/dev/ublkb");
    }

    @Test
    void aKeptDeviceEndsCleanlyAndOneThatWasKilledIsMadeEqual() throws IOException, InterruptedException {
        Path a = folder.resolve("a");
        Path b = folder.resolve("b");
        Process server = mirror("--keep", "--create", "--size", "16M", a, b);
        String device = awaitLine(server.inputReader(), "Ctrl-C ends it").replaceAll(".*(/dev/ublkb\\d+).*", "$1");
        Process load = new ProcessBuilder("dd", "if=/dev/urandom", "of=" + device, "bs=256k", "oflag=direct").start();
        Thread.sleep(300);
        server.destroyForcibly();
        assertThat(end(server)).isNotZero();
        end(load);

        Assembly crashed = Assembly.of(List.of(ReplicaFile.read(a), ReplicaFile.read(b)), OptionalInt.empty(), false);
        assertThat(crashed.wasOpen()).isTrue();
        assertThat(crashed.header().live()).isEqualTo(0b11);

        Process again = mirror("--keep", a, b);
        awaitLine(again.inputReader(), "Ctrl-C ends it");
        Tool.run("kill", "-INT", Long.toString(again.pid()));
        assertThat(end(again)).isZero();
        Assembly closed = Assembly.of(List.of(ReplicaFile.read(a), ReplicaFile.read(b)), OptionalInt.empty(), false);
        assertThat(closed.wasOpen()).isFalse();
        long data = closed.header().dataBytes();
        assertThat(Checksums.of(a, ReplicaHeader.DATA_OFFSET, data)).isEqualTo(Checksums.of(b, ReplicaHeader.DATA_OFFSET, data));
    }
}
