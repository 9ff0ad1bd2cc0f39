package io.reactorublk.samples.cli;

import java.io.File;
import java.io.IOException;
import java.nio.charset.Charset;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/**
 * A server in a process of its own, which outlives the command that started it: the same command line again, in a session
 * without a terminal ({@code setsid(1)}), with a log file for its output. When its device is there it says so in a file that an
 * environment variable names.
 *
 * @param command what the child is started with
 * @param folder where {@code ublkbN.pid} is, while the server runs
 * @param logs where {@code ublkbN.log} is
 */
record Daemon(List<String> command, Path folder, Path logs) {

    private static final String READY = "REACTOR_UBLK_READY";
    private static final int LOOK_MILLIS = 20;
    private static final int SHOWN_LINES = 10;

    /** As this process was started. */
    static Daemon onThisMachine() throws IOException {
        String arguments = Files.readString(Path.of("/proc/self/cmdline"), Charset.defaultCharset());
        return new Daemon(List.of(arguments.split("\0")), pidFolder(),
                isRoot() ? Path.of("/var/log/reactor-ublk") : Path.of(setting("XDG_STATE_HOME", home() + "/.local/state"), "reactor-ublk"));
    }

    private static Path pidFolder() {
        return isRoot() ? Path.of("/run/reactor-ublk")
                : Path.of(setting("XDG_RUNTIME_DIR", home() + "/.cache"), "reactor-ublk");
    }

    private static boolean isRoot() {
        return "root".equals(System.getProperty("user.name"));
    }

    private static String home() {
        return System.getProperty("user.home");
    }

    private static String setting(String variable, String otherwise) {
        return Optional.ofNullable(System.getenv(variable)).filter(value -> !value.isEmpty()).orElse(otherwise);
    }

    // ------------------------------------------------------------------------------------------- in the child

    /** Whether this process is one. */
    static boolean isOne() {
        return System.getenv(READY) != null;
    }

    /** Its device is there. */
    static void isLive(int id) throws IOException {
        Files.writeString(pidFile(id), ProcessHandle.current().pid() + "\n");
        Path ready = Path.of(System.getenv(READY));
        Path written = ready.resolveSibling(ready.getFileName() + ".new");
        Files.writeString(written, Integer.toString(id));
        Files.move(written, ready, StandardCopyOption.ATOMIC_MOVE);    // whoever sees it sees all of it
    }

    /** Its device is gone. */
    static void ended(int id) throws IOException {
        if (isOne()) Files.deleteIfExists(pidFile(id));
    }

    private static Path pidFile(int id) {
        return pidFolder().resolve("ublkb" + id + ".pid");
    }

    // ------------------------------------------------------------------------------------------- in its parent

    /** Starts it, and waits until its device is there. */
    int launch(Output output, Signals signals) throws IOException, InterruptedException {
        Files.createDirectories(folder);
        Files.createDirectories(logs);
        String name = "starting-" + ProcessHandle.current().pid();
        Path ready = folder.resolve(name);
        Path log = logs.resolve(name + ".log");
        Process child = start(ready, log);
        while (!Files.exists(ready)) {
            if (signals.haveArrived()) return giveUp(child);
            if (child.waitFor(LOOK_MILLIS, TimeUnit.MILLISECONDS) && !Files.exists(ready)) throw failure(log);
        }
        int id = Integer.parseInt(Files.readString(ready));
        Files.delete(ready);
        Path kept = logs.resolve("ublkb" + id + ".log");
        Files.move(log, kept, StandardCopyOption.REPLACE_EXISTING);    // the child has it open and goes on writing
        if (output.isJson()) {
            output.json(Map.of("id", id, "path", "/dev/ublkb" + id, "pid", child.pid(), "log", kept.toString()));
        } else {
            output.say("/dev/ublkb" + id);
        }
        return 0;
    }

    private Process start(Path ready, Path log) {
        List<String> detached = new ArrayList<>(List.of("setsid"));
        detached.addAll(command);
        ProcessBuilder child = new ProcessBuilder(detached).redirectInput(new File("/dev/null"))
                .redirectErrorStream(true).redirectOutput(log.toFile());
        child.environment().put(READY, ready.toString());
        try {
            return child.start();
        } catch (IOException e) {
            throw new FailedException("cannot start a process of its own: " + e.getMessage()
                    + "; install util-linux (setsid), or serve with --foreground");
        }
    }

    /** Asks it to end; it removes what there is of its device. */
    private static int giveUp(Process child) throws InterruptedException {
        child.destroy();
        child.waitFor();
        return ReactorUblk.INTERRUPTED;
    }

    private static FailedException failure(Path log) throws IOException {
        List<String> lines = Files.readAllLines(log, Charset.defaultCharset());
        List<String> last = lines.subList(Math.max(0, lines.size() - SHOWN_LINES), lines.size());
        Files.delete(log);
        if (last.isEmpty()) return new FailedException("the server died before its device was there, without a word; try --foreground");
        return new FailedException("the server ended before its device was there. It said:\n" + String.join("\n", last));
    }
}
