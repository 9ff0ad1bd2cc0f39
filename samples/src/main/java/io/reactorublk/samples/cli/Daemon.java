package io.reactorublk.samples.cli;

import java.io.File;
import java.io.IOException;
import java.nio.charset.Charset;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.TimeUnit;
import java.util.function.LongConsumer;
import picocli.CommandLine;

/**
 * A server in a process of its own, which outlives the command that started it: the same command line again, in a session
 * without a terminal ({@code setsid(1)}), with a log file for its output. When its device is there it says so in a file that an
 * environment variable names.
 *
 * @param command what the child is started with
 * @param folder where {@code ublkbN.pid} is, while the server runs, and {@code ublkbN.sock}, its {@link Door}
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

    /** It serves this device. Whom this cannot be told finds out by {@code inspect}. */
    static void serves(int id) {
        try {
            Files.writeString(pidFile(id), ownPid());
        } catch (IOException e) {
            System.err.println("cannot write " + pidFile(id) + ": " + e);
        }
    }

    /**
     * Its device is there, for the first time, as whoever started it is to tell.
     *
     * @param pauseMillis how long that device was not served, if it was before
     */
    static void isLive(int id, OptionalLong pauseMillis) throws IOException {
        Path ready = Path.of(System.getenv(READY));
        Path written = ready.resolveSibling(ready.getFileName() + ".new");
        Files.writeString(written, id + (pauseMillis.isPresent() ? " " + pauseMillis.getAsLong() : ""));
        Files.move(written, ready, StandardCopyOption.ATOMIC_MOVE);    // whoever sees it sees all of it
    }

    /** Its device is gone, or another process has it, and its own file. */
    static void ended(int id) {
        if (!isOne()) return;
        try {
            if (Files.exists(pidFile(id)) && Files.readString(pidFile(id)).equals(ownPid())) Files.delete(pidFile(id));
        } catch (IOException e) {
            System.err.println("cannot remove " + pidFile(id) + ": " + e);
        }
    }

    private static String ownPid() {
        return ProcessHandle.current().pid() + "\n";
    }

    /** Where the process that serves a device is found. */
    static Path door(int id) {
        return pidFolder().resolve("ublkb" + id + ".sock");
    }

    /** There. */
    static Door openDoor(int id, Statistics statistics, boolean handsOver, LongConsumer resize) throws IOException {
        makeFolder(pidFolder());
        return Door.open(door(id), statistics, handsOver, resize);
    }

    private static Path pidFile(int id) {
        return pidFolder().resolve("ublkb" + id + ".pid");
    }

    // ------------------------------------------------------------------------------------------- in its parent

    /** Starts it, and waits until its device is there. */
    int launch(Output output, Signals signals) throws IOException, InterruptedException {
        makeFolder(folder);
        Files.createDirectories(logs);
        String name = "starting-" + ProcessHandle.current().pid();
        Path ready = folder.resolve(name);
        Path log = logs.resolve(name + ".log");
        Files.deleteIfExists(ready);                                   // of a process that had our number, and was killed
        Process child = start(ready, log);
        while (!Files.exists(ready)) {
            if (signals.haveArrived()) return giveUp(child, ready, log);
            if (child.waitFor(LOOK_MILLIS, TimeUnit.MILLISECONDS) && !Files.exists(ready)) throw failure(child, log);
        }
        String[] told = Files.readString(ready).split(" ", -1);
        Files.delete(ready);
        int id = Integer.parseInt(told[0]);
        OptionalLong pauseMillis = told.length == 1 ? OptionalLong.empty() : OptionalLong.of(Long.parseLong(told[1]));
        Path kept = logs.resolve("ublkb" + id + ".log");
        Files.move(log, kept, StandardCopyOption.REPLACE_EXISTING);    // the child has it open and goes on writing
        if (output.isJson()) {
            Map<String, Object> facts = facts(id, child.pid(), pauseMillis);
            facts.put("log", kept.toString());
            output.json(facts);
        } else {
            output.say(text(id, pauseMillis));
        }
        return 0;
    }

    /** What programs are told of a device that is served. */
    static Map<String, Object> facts(int id, long pid, OptionalLong pauseMillis) {
        Map<String, Object> facts = new LinkedHashMap<>(Map.of("id", id, "path", "/dev/ublkb" + id, "pid", pid));
        pauseMillis.ifPresent(millis -> facts.put("pauseMillis", millis));
        return facts;
    }

    /** And what people are. */
    static String text(int id, OptionalLong pauseMillis) {
        return "/dev/ublkb" + id + (pauseMillis.isPresent() ? ", after a pause of %d ms".formatted(pauseMillis.getAsLong()) : "");
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

    /** For its owner only: who can come to the socket can have the device. */
    private static void makeFolder(Path folder) throws IOException {
        if (Files.isDirectory(folder)) return;
        Files.createDirectories(folder, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
    }

    /** Asks it to end; it removes what there is of its device. */
    private static int giveUp(Process child, Path ready, Path log) throws IOException, InterruptedException {
        child.destroy();
        child.waitFor();
        Files.deleteIfExists(ready);
        Files.delete(log);
        return ReactorUblk.INTERRUPTED;
    }

    /** As it would have been told without a process of its own. */
    private static RuntimeException failure(Process child, Path log) throws IOException {
        List<String> lines = Files.readAllLines(log, Charset.defaultCharset());
        List<String> last = lines.subList(Math.max(0, lines.size() - SHOWN_LINES), lines.size());
        Files.delete(log);
        if (last.isEmpty()) return new FailedException("the server died before its device was there, without a word; try --foreground");
        String message = "the server ended before its device was there. It said:\n" + String.join("\n", last);
        return child.exitValue() == CommandLine.ExitCode.USAGE ? new IllegalArgumentException(message) : new FailedException(message);
    }
}
