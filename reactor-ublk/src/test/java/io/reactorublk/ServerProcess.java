package io.reactorublk;

import io.reactorublk.target.RamTarget;
import io.reactorublk.uring.Kernel;
import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import reactor.core.publisher.Mono;

/** A server in a process of its own: to be killed, or to be started where something is missing. */
final class ServerProcess {

    static final long DEVICE_BYTES = 32 << 20;

    static final String NOTHING = "nothing";
    static final String USE_UP_DESCRIPTORS = "use-up-descriptors";

    static final String SERVING = "serving ";
    /** Which halves the time a JVM takes to start. */
    private static final String WITHOUT_A_LOG = "-Dslf4j.provider=org.slf4j.helpers.NOP_FallbackServiceProvider";
    private static final Duration LIMIT = Duration.ofSeconds(60);

    private ServerProcess() {}

    /**
     * The process: {@code ID DEPTH [use-up-descriptors]} of the device. Says what it serves and goes on, or why it cannot,
     * and what is left.
     */
    public static void main(String[] args) {
        UblkServer server = UblkServer.create().size(DEVICE_BYTES).queueDepth(Integer.parseInt(args[1]))
                .serve(new RamTarget(DEVICE_BYTES));
        if (!args[0].equals("any")) server = server.id(Integer.parseInt(args[0]));
        LinuxDevices here = new LinuxDevices();
        boolean useUpDescriptors = List.of(args).contains(USE_UP_DESCRIPTORS);
        if (useUpDescriptors) readAllClasses(server);
        String before = here.footprint();
        List<FileInputStream> used = new ArrayList<>();
        if (useUpDescriptors) useUp(used);
        try {
            UblkDevice device = Objects.requireNonNull(server.start().block(LIMIT));
            System.out.println(SERVING + device.path());
            Mono.never().block();
        } catch (RuntimeException e) {
            used.forEach(ServerProcess::close);
            for (int i = 0; i < 200 && !here.footprint().equals(before); i++) here.settle();
            System.out.println(e.getMessage() + "\nleft: " + (here.footprint().equals(before) ? NOTHING : here.footprint()));
            System.exit(1);
        }
    }

    /** What is used for the first time is read from a file, which takes a descriptor: a start that works, and refusals. */
    private static void readAllClasses(UblkServer server) {
        server.start().flatMap(UblkDevice::disposeLater).block(LIMIT);
        List<Runnable> refusals = List.of(
                () -> server.queues(UblkServer.MAX_QUEUES).start().block(LIMIT),
                () -> Kernel.linux().ioUringSetup(0, Kernel.linux().allocate(4096, Arena.global())));
        for (Runnable refused : refusals) {
            try {
                refused.run();
            } catch (RuntimeException expected) {
                // As intended.
            }
        }
    }

    private static void useUp(List<FileInputStream> used) {
        try {
            while (true) used.add(new FileInputStream("/dev/null"));
        } catch (IOException noneIsLeft) {
            // As intended.
        }
    }

    private static void close(FileInputStream stream) {
        try {
            stream.close();
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    /** Starts the process, behind the words of another command. */
    static Process start(String[] before, Object... args) {
        return start(ServerProcess.class, before, args);
    }

    static Process start(Class<?> main, String[] before, Object... args) {
        return Shell.start(command(main, before, args).toArray(String[]::new));
    }

    static List<String> command(Class<?> main, String[] before, Object... args) {
        List<String> command = new ArrayList<>(List.of(before));
        command.addAll(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-ea", "-Xmx64m", "-Xshare:auto", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                        "--enable-native-access=ALL-UNNAMED", WITHOUT_A_LOG,
                "-cp", System.getProperty("java.class.path"), main.getName()));
        for (Object arg : args) command.add(arg.toString());
        return command;
    }

    /** Waits until it serves, and says what. */
    static Path served(Process process) {
        StringBuilder all = new StringBuilder();
        try {
            BufferedReader lines = process.inputReader();
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                if (line.startsWith(SERVING)) return Path.of(line.substring(SERVING.length()));
                all.append(line).append('\n');
            }
        } catch (IOException e) {
            throw new AssertionError(e);
        }
        throw new AssertionError("the server serves nothing:\n" + all);
    }
}
