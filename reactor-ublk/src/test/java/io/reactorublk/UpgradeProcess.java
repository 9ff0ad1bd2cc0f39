package io.reactorublk;

import io.reactorublk.target.FileTarget;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import reactor.core.publisher.Mono;
import reactor.util.Logger;
import reactor.util.Loggers;

/** A server in a process of its own that comes after another one and goes before a third, as a line on its input says. */
final class UpgradeProcess {

    static final long DEVICE_BYTES = 8 << 20;
    static final int DEPTH = 32;
    /** A JVM takes its time to start on a busy machine that is emulated. */
    static final Duration LIMIT = Duration.ofMinutes(3);

    /** It makes the device. */
    static final String START = "start";
    /** It gets ready, says so, and takes the device over when it is told to. */
    static final String UPGRADE = "upgrade";
    /** It takes the device over if it is there, else makes it, once it has removed what one that died has left of it. */
    static final String RECOVER = "recover";

    static final String READY = "ready";
    static final String HANDED_OVER = "handed over";

    static final String TAKE_OVER = "take over";
    static final String HAND_OVER = "hand over";
    static final String REMOVE = "remove";

    /** Before the step of a rehearsal. */
    static final String REHEARSING = "rehearsing: ";

    private static volatile String death = "";

    private UpgradeProcess() {}

    /** The process: {@code WHAT FILE ID MODE DEATHS}. */
    public static void main(String[] args) throws IOException {
        Loggers.useCustomLoggers(name -> (Logger) Proxy.newProxyInstance(Logger.class.getClassLoader(), new Class<?>[] {Logger.class},
                (logger, method, words) -> log(method, words)));
        int id = Integer.parseInt(args[2]);
        UblkServer server = server(Path.of(args[1])).id(id).dataMode(DataMode.valueOf(args[3]));
        BufferedReader orders = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        String step = nextDeath(Path.of(args[4]));
        if (args[0].equals(UPGRADE)) {
            if (step.startsWith(REHEARSING)) death = step.substring(REHEARSING.length());
            server.rehearse(id).block(LIMIT);
            System.out.println(READY);
            await(orders, TAKE_OVER);
        }
        death = Steps.isBack(step) ? "" : step;                        // a recovery of nothing goes back, too
        Mono<UblkDevice> begin = switch (args[0]) {
            case START -> server.start();
            case UPGRADE -> server.recover(id);
            default -> server.recover(id).onErrorResume(DeviceLifecycle::isGone, e -> remove(id).then(server.start()));
        };
        UblkDevice device = Objects.requireNonNull(begin.block(LIMIT));
        death = step;
        System.out.println(ServerProcess.SERVING + device.path());
        if (orders.readLine().equals(HAND_OVER)) {
            device.handOver().block(LIMIT);
            System.out.println(HANDED_OVER);
        } else {
            device.disposeLater().block(LIMIT);
        }
        System.exit(0);
    }

    static UblkServer server(Path file) {
        return UblkServer.create().size(DEVICE_BYTES).queueDepth(DEPTH).maxIoBytes(64 << 10).recovery(Recovery.REISSUE)
                .serve(FileTarget.of(file));
    }

    /** If there is something. */
    private static Mono<Void> remove(int id) {
        return Mono.using(UblkControl::create, control -> control.remove(id), UblkControl::close).onErrorComplete();
    }

    /** Skips what else is said; a null pointer here is the end of whom we wait for. */
    private static void await(BufferedReader lines, String wanted) throws IOException {
        String line = "";
        while (!line.equals(wanted)) line = Objects.requireNonNull(lines.readLine(), "it has ended; expected " + wanted);
    }

    // ------------------------------------------------------------------------------------------- deaths

    /** The first line, which it takes away: who is started next finds the second one. Empty if none is left. */
    private static String nextDeath(Path deaths) throws IOException {
        List<String> lines = new ArrayList<>(Files.readAllLines(deaths));
        if (lines.isEmpty()) return "";
        String first = lines.removeFirst();
        Files.write(deaths, lines);
        return first;
    }

    /** Kills this process with SIGKILL when a device's life comes to the step it is to die at, which is when that is logged. */
    private static Object log(Method method, Object[] args) {
        if (method.getReturnType() == boolean.class) return false;
        if (List.of("warn", "error").contains(method.getName())) System.out.println(Arrays.deepToString(args));
        if (method.getName().equals("debug") && args.length > 1 && args[1] instanceof Object[] words
                && words[words.length - 1].equals(death)) {
            Shell.run("kill", "-KILL", Long.toString(ProcessHandle.current().pid()));
        }
        return null;
    }

    // ------------------------------------------------------------------------------------------- from the outside

    static ProcessBuilder command(Object... args) {
        return new ProcessBuilder(ServerProcess.command(UpgradeProcess.class, new String[0], args)).redirectErrorStream(true);
    }

    static void tell(Process server, String order) throws IOException {
        server.getOutputStream().write((order + "\n").getBytes(StandardCharsets.UTF_8));
        server.getOutputStream().flush();
    }

    static void hear(Process server, String word) throws IOException {
        await(server.inputReader(), word);
    }

    /** Whether it says so before it dies. */
    static boolean handsOver(Process server) throws IOException {
        tell(server, HAND_OVER);
        String line = "";
        while (line != null && !line.equals(HANDED_OVER)) line = server.inputReader().readLine();
        return line != null;
    }
}
