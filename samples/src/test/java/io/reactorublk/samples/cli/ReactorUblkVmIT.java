package io.reactorublk.samples.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.jr.ob.JSON;
import io.reactorublk.FioLoad;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.RandomAccessFile;
import java.io.StringWriter;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
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

    /** The path of the device that it serves in the foreground. What it logs comes before. */
    private static String served(Process server) throws IOException {
        String line = "";
        while (line != null && !line.contains(": served")) line = server.inputReader().readLine();
        assertThat(line).as("what it says when it serves").isNotNull();
        return line.replaceFirst("(, after a pause.*)?: served.*", "");
    }

    private static String id(String device) {
        return device.substring("/dev/ublkb".length());
    }

    /** How many bytes of it the kernel knows. */
    private static long sizeOf(String device) throws IOException {
        return 512 * Long.parseLong(Files.readString(Path.of("/sys/block", device.substring("/dev/".length()), "size")).strip());
    }

    private static void tool(String... command) throws IOException, InterruptedException {
        end(new ProcessBuilder(command).redirectErrorStream(true).start());
    }

    private static String succeed(String... arguments) {
        StringWriter out = new StringWriter();
        StringWriter errors = new StringWriter();
        assertThat(execute(out, errors, arguments)).as(errors.toString()).isZero();
        return out.toString();
    }

    private static String refusal(String... arguments) {
        StringWriter errors = new StringWriter();
        assertThat(execute(new StringWriter(), errors, arguments)).isEqualTo(1);
        return errors.toString();
    }

    private static int execute(StringWriter out, StringWriter errors, String... arguments) {
        return ReactorUblk.commandLine(Machine.linux(), new Signals())
                .setOut(new PrintWriter(out, true)).setErr(new PrintWriter(errors, true)).execute(arguments);
    }

    @Test
    void aDeviceInTheForegroundIsUsedSeenAndRemovedWithCtrlC() throws IOException, InterruptedException {
        assertThat(succeed("doctor")).contains("the driver has BATCH_IO", "(vm.max_map_count), for about ");
        Path[] replicas = {folder.resolve("replica-0"), folder.resolve("replica-1")};
        Process server = start("add", "mirror", replicas[0], replicas[1], "--create", "--size", "16M", "--foreground", "--queues", "2",
                "--depth", "8");
        String device = served(server);
        String id = id(device);
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

    /** All that may be done to it while fio writes and verifies. */
    @Test
    void aDeviceIsWatchedResizedRecoveredAndUpgradedWhileItIsUsed() throws IOException, InterruptedException {
        Path file = folder.resolve("disk");
        try (RandomAccessFile disk = new RandomAccessFile(file.toFile(), "rw")) {
            disk.setLength(16 << 20);
        }
        String port;
        try (ServerSocket free = new ServerSocket(0)) {
            port = Integer.toString(free.getLocalPort());
        }
        Process first = start("add", "file", file, "--size", "8M", "--depth", "8", "--recovery", "reissue", "--metrics", port, "--foreground");
        String device = served(first);
        String id = id(device);
        assertThat(succeed("features")).containsPattern("BATCH_IO +yes");
        Process third;
        try (FioLoad load = new FioLoad(Path.of(device), 8 << 20)) {
            Map<?, ?> looked = await().atMost(LIMIT).until(ReactorUblkVmIT::top, seen -> seen.get("all") != null);   // a server has a second to tell
            assertThat(looked.get("path")).isEqualTo(device);
            assertThat((int) looked.get("writes")).as("of the block layer").isPositive();
            assertThat(metrics(port)).contains("ublk_request_seconds", "device=\"ublkb" + id + "\"");

            assertThat(succeed("resize", id, "16M")).contains("resized to 16M");
            assertThat(sizeOf(device)).isEqualTo(16 << 20);
            assertThat(refusal("resize", id, "32M")).as("more than there is").contains("16");
            assertThat(sizeOf(device)).isEqualTo(16 << 20);

            first.destroyForcibly();
            Map<String, Object> second = JSON.std.mapFrom(end(start("recover", id, "file", file, "-o", "json")));
            assertThat(second).containsEntry("path", device);
            assertThat(JSON.std.mapFrom(succeed("inspect", id, "-o", "json"))).containsEntry("serverPid", second.get("pid")).containsEntry("state", "LIVE");

            third = start("upgrade", id, "file", file, "--foreground");
            assertThat(served(third)).isEqualTo(device);
            await().atMost(LIMIT).until(() -> ProcessHandle.of(((Number) second.get("pid")).longValue()).isEmpty());
            load.assertVerified();
        }
        assertThat(succeed("stop", id)).contains("stopped");
        end(third);
        assertThat(Path.of(device)).doesNotExist();
    }

    /** What the one device did in three seconds. */
    private static Map<?, ?> top() throws IOException {
        return (Map<?, ?>) JSON.std.listFrom(succeed("top", "--count", "1", "--interval", "3", "-o", "json")).getFirst();
    }

    private static String metrics(String port) throws IOException, InterruptedException {
        try (HttpClient client = HttpClient.newHttpClient()) {
            return client.send(HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + "/metrics")).build(),
                    HttpResponse.BodyHandlers.ofString()).body();
        }
    }

    @Test
    void whatIsOrderedToFailFailsAndWhoIsOrderedToDieDies() throws IOException, InterruptedException {
        Process server = start("add", "ram", "--size", "1M", "--depth", "8", "--fault", "EIO:write:at=64K+4K", "--die-at", "write:4", "--foreground");
        String device = served(server);
        String[] write = {"dd", "if=/dev/zero", "of=" + device, "bs=4k", "count=1", "oflag=direct"};
        tool(write);
        String[] bad = Arrays.copyOf(write, write.length + 1);
        bad[write.length] = "seek=16";
        assertThat(SystemPrograms.run(bad)).satisfies(result -> {
            assertThat(result.status()).isNotZero();
            assertThat(result.output()).contains("Input/output error");
        });
        tool(write);
        assertThat(SystemPrograms.run(write).status()).as("its server dies").isNotZero();
        assertThat(server.waitFor(LIMIT.toSeconds(), TimeUnit.SECONDS)).isTrue();
        assertThat(server.exitValue()).isEqualTo(137);
        assertThat(succeed("remove", "--if-dead", id(device))).contains("removed");
        assertThat(succeed("list")).doesNotContain(device);
    }
}
