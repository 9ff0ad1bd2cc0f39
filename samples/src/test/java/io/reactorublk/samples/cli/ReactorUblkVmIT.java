package io.reactorublk.samples.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.jr.ob.JSON;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The command as its users have it: who serves is a process of its own, which gets signals. The others are executed here,
 * as a JVM takes long to start in an emulated machine.
 */
class ReactorUblkVmIT {

    private static final Duration LIMIT = Duration.ofMinutes(2);

    @TempDir
    Path folder;

    private static Process start(Object... arguments) throws IOException {
        List<String> command = InstalledCommand.java();
        for (Object argument : arguments) command.add(argument.toString());
        return new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    }

    private static String end(Process process) throws IOException, InterruptedException {
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor(LIMIT.toSeconds(), TimeUnit.SECONDS)).as("ends").isTrue();
        assertThat(process.exitValue()).as(output).isZero();
        return output;
    }

    /** Its first object of JSON; it goes on. */
    private static String object(Process process) throws IOException {
        StringBuilder object = new StringBuilder();
        for (String line = ""; !"}".equals(line); object.append(line)) {
            line = process.inputReader().readLine();
            assertThat(line).as("a line after " + object).isNotNull();
        }
        return object.toString();
    }

    private static void tool(String... command) throws IOException, InterruptedException {
        end(new ProcessBuilder(command).redirectErrorStream(true).start());
    }

    private static String succeed(String... arguments) {
        StringWriter out = new StringWriter();
        StringWriter errors = new StringWriter();
        int status = ReactorUblk.commandLine(Machine.linux(), new Signals())
                .setOut(new PrintWriter(out, true)).setErr(new PrintWriter(errors, true)).execute(arguments);
        assertThat(status).as(errors.toString()).isZero();
        return out.toString();
    }

    @Test
    void aDeviceInTheForegroundIsUsedSeenAndRemovedWithCtrlC() throws IOException, InterruptedException {
        assertThat(succeed("doctor")).contains("the driver has BATCH_IO", "(vm.max_map_count), for about ");
        Path[] replicas = {folder.resolve("replica-0"), folder.resolve("replica-1")};
        Process server = start("add", "mirror", replicas[0], replicas[1], "--create", "--size", "16M", "--foreground", "--queues", "2",
                "--depth", "8");
        String device = server.inputReader().readLine().replaceFirst(": served.*", "");
        String id = device.substring("/dev/ublkb".length());
        tool("fio", "--name=verify", "--filename=" + device, "--rw=randwrite", "--bs=4k", "--size=512k", "--iodepth=8",
                "--ioengine=libaio", "--direct=1", "--thread", "--verify=crc32c", "--verify_fatal=1", "--minimal");

        assertThat(succeed("list")).containsPattern(device + " +live +16M +2 +8 +512K +none +pid " + server.pid());
        assertThat(JSON.std.mapFrom(succeed("inspect", id, "--output", "json")))
                .containsEntry("path", device).containsEntry("sizeBytes", 16 << 20).containsEntry("state", "LIVE")
                .containsEntry("serverPid", (int) server.pid()).containsEntry("serverAlive", true);

        tool("kill", "-INT", Long.toString(server.pid()));
        end(server);
        assertThat(Path.of(device)).doesNotExist();
        assertThat(succeed("list")).doesNotContain(device);
        tool("cmp", "-i", Integer.toString(1 << 20), replicas[0].toString(), replicas[1].toString());    // behind their headers
    }

    @Test
    void aDaemonsDeviceIsUpgradedAndOutlivesItsServersAndIsRemoved() throws IOException, InterruptedException {
        Path file = folder.resolve("disk");
        Map<String, Object> added = JSON.std.mapFrom(end(
                start("add", "file", file, "--create", "--size", "8M", "--depth", "8", "--recovery", "reissue", "-o", "json")));
        String device = (String) added.get("path");
        String id = added.get("id").toString();
        String pid = added.get("pid").toString();
        assertThat(Path.of("/run/reactor-ublk/ublkb" + id + ".pid")).content().isEqualToIgnoringNewLines(pid);
        assertThat(Path.of((String) added.get("log"))).exists();
        tool("dd", "if=/dev/urandom", "of=" + device, "bs=64k", "count=4", "oflag=direct", "conv=fsync");

        Process next = start("upgrade", id, "--delay", "1ms", "file", file, "--foreground", "-o", "json");
        Map<String, Object> upgraded = JSON.std.mapFrom(object(next));
        assertThat(upgraded).containsEntry("path", device).containsEntry("pid", (int) next.pid()).containsKey("pauseMillis");
        System.out.println("upgraded with a pause of " + upgraded.get("pauseMillis") + " ms");
        await().atMost(LIMIT).until(() -> ProcessHandle.of(Long.parseLong(pid)).isEmpty());
        assertThat(Path.of("/run/reactor-ublk/ublkb" + id + ".pid")).doesNotExist();
        tool("dd", "if=/dev/urandom", "of=" + device, "bs=64k", "count=2", "oflag=direct", "conv=fsync");
        tool("cmp", "-n", Integer.toString(256 << 10), device, file.toString());

        next.destroyForcibly();
        await().atMost(LIMIT).until(() -> succeed("list").contains("quiesced"));
        assertThat(succeed("list")).containsPattern(device + " +quiesced +8M .* none");
        assertThat(succeed("remove", id)).contains("removed");
        assertThat(Path.of(device)).doesNotExist();
        assertThat(succeed("list")).doesNotContain(device);
    }
}
