package io.reactorublk.samples.mirror;

import io.reactorublk.UblkServer;
import io.reactorublk.micrometer.UblkMetrics;
import io.reactorublk.samples.PrometheusEndpoint;
import io.reactorublk.uring.KernelException;
import java.io.IOException;
import java.nio.channels.ClosedByInterruptException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.OptionalInt;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import reactor.netty.ChannelBindException;

/** The mirror as a program. */
@Command(name = "mirror", sortOptions = false, usageHelpAutoWidth = true, separator = " ",
        description = {"", "A block device whose data is kept on 2 to 8 replica files. It survives all but one of them.", "",
                "Without --keep it is a demonstration: makes the replicas, puts an ext4 on the device, copies files onto it, "
                + "breaks a replica meanwhile, and compares every byte.", ""},
        footer = {"", "Examples:",
                "  mirror                                  the demonstration",
                "  mirror --keep --create --size 4G a b    makes two replicas and serves them",
                "  mirror --keep a b                       serves them again",
                "  mirror --keep --degraded a              goes on with one: the other is lost", "",
                "Exit status: 0 all is well, 1 something went wrong, 2 it could not be started as asked, 130 interrupted."})
public final class MirrorMain implements Callable<Integer> {

    private static final int WRONG = 1;
    private static final int REFUSED = 2;
    private static final int INTERRUPTED = 130;
    private static final long LAST_CHANCE_SECONDS = 60;

    @Parameters(paramLabel = "REPLICA", arity = "0..8", description = "The replicas' files; by default two temporary ones.")
    private List<Path> paths = new ArrayList<>();

    @Option(names = "--keep", description = "Serve the device until Ctrl-C.")
    private boolean keep;

    @Option(names = "--create", description = "With --keep: make new replicas. Without, they are always new.")
    private boolean create;

    @Option(names = "--force", description = "Make new replicas even where something is already, which is lost.")
    private boolean force;

    @Option(names = "--size", paramLabel = "SIZE", defaultValue = "256M", converter = Size.class,
            description = "The size of a new device, such as 512M or 4G; ${DEFAULT-VALUE} if not given.")
    private long size;

    @Option(names = "--quorum", paramLabel = "N",
            description = "How many replicas must have a write before it is acknowledged; with fewer left, writes fail. "
                    + "1 for a new set (a majority of two would be both, and no failure could be survived), else what it was.")
    private @Nullable Integer quorum;

    @Option(names = "--replica-timeout", paramLabel = "SECONDS", defaultValue = "30",
            description = "A replica that is this much slower than another leaves; ${DEFAULT-VALUE} if not given.")
    private double replicaTimeoutSeconds;

    @Option(names = "--degraded", description = "Start although replicas with newer data may be missing; it is lost then.")
    private boolean degraded;

    @Option(names = "--queues", paramLabel = "N",
            description = "Hardware queues, each with a thread of its own; 2, or 1 on a machine with one CPU.")
    private int queues = Math.min(2, Runtime.getRuntime().availableProcessors());

    @Option(names = "--depth", paramLabel = "N", defaultValue = "64",
            description = "Requests in flight on each queue; ${DEFAULT-VALUE} if not given. Each has 512 KiB of locked memory.")
    private int depth;

    @Option(names = "--metrics", paramLabel = "PORT",
            description = "With --keep: what the device does, for Prometheus, at http://127.0.0.1:PORT/metrics.")
    private @Nullable Integer metricsPort;

    @Option(names = {"-h", "--help"}, usageHelp = true, description = "Show this.")
    @SuppressWarnings("UnusedVariable") // picocli looks at it
    private boolean help;

    @Option(names = "--direct", description = "Read and write the replicas past the page cache (O_DIRECT).")
    private boolean direct;

    /** Runs it. */
    public static void main(String[] args) {
        System.setProperty("mirror.line", LiveLine.isTerminal() ? LiveLine.CLEAR : "");    // log lines share its screen
        CompletableFuture<Integer> status = new CompletableFuture<>();
        endOnSignal(Thread.currentThread(), status);
        try {
            status.complete(commandLine().execute(args));
        } finally {
            status.complete(WRONG);                                    // only if it has none yet: after an Error
        }
        System.exit(status.join());
    }

    static CommandLine commandLine() {
        return new CommandLine(new MirrorMain())
                .setExecutionExceptionHandler((e, command, parsed) -> failed(e, command));
    }

    /** Ctrl-C and SIGTERM interrupt the main thread; the process lives until that has cleaned up, and its exit status counts. */
    private static void endOnSignal(Thread main, CompletableFuture<Integer> status) {
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            if (status.isDone()) return;
            main.interrupt();
            try {
                Runtime.getRuntime().halt(status.get(LAST_CHANCE_SECONDS, TimeUnit.SECONDS));
            } catch (InterruptedException | ExecutionException | TimeoutException e) {
                System.err.println("mirror: could not clean up within " + LAST_CHANCE_SECONDS + " s");
            }
        }, "mirror-shutdown"));
    }

    private static int failed(Exception e, CommandLine command) {
        if (isInterruption(e) || isInterruption(e.getCause())) return INTERRUPTED;
        boolean explained = e instanceof MirrorException || e instanceof KernelException || e instanceof IllegalArgumentException;
        if (explained || e instanceof Tool.FailedException) {
            command.getErr().println("mirror: " + e.getMessage());
        } else {
            e.printStackTrace(command.getErr());
        }
        command.getErr().flush();
        return explained ? REFUSED : WRONG;
    }

    private static boolean isInterruption(@Nullable Throwable e) {
        return e instanceof InterruptedException || e instanceof ClosedByInterruptException;
    }

    @Override
    public Integer call() throws Exception {
        if (!(replicaTimeoutSeconds >= 0.001 && replicaTimeoutSeconds <= 1e6)) {
            throw new MirrorException("a replica timeout of " + replicaTimeoutSeconds + " s: from 0.001 to 1000000 is possible");
        }
        Duration timeout = Duration.ofNanos((long) (replicaTimeoutSeconds * 1e9));
        ServedMirror.Settings settings = new ServedMirror.Settings(queues, depth, timeout, direct);
        boolean fresh = create || !keep || paths.isEmpty();
        Path temporary = paths.isEmpty() ? Files.createTempDirectory("mirror-") : null;
        try (LiveLine line = new LiveLine()) {
            if (temporary != null) paths = List.of(temporary.resolve("replica-0"), temporary.resolve("replica-1"));
            List<ReplicaFile> replicas = fresh ? make() : paths.stream().map(ReplicaFile::read).toList();
            return keep ? serve(replicas, settings, line) : demonstrate(replicas, settings, line);
        } finally {
            if (temporary != null) delete(temporary);
        }
    }

    private List<ReplicaFile> make() {
        if (size <= 0 || size % 4096 != 0) {
            throw new MirrorException("a device of " + size + " bytes: it must be a positive multiple of its block size, 4096");
        }
        return ReplicaFile.create(paths, size, quorum == null ? 1 : quorum, force);
    }

    private int demonstrate(List<ReplicaFile> replicas, ServedMirror.Settings settings, LiveLine line)
            throws IOException, InterruptedException {
        Demo demo = new Demo(replicas, settings, line);
        List<String> problems;
        try {
            problems = demo.run();
        } catch (Tool.FailedException | IOException e) {
            if (isInterruption(e) || isInterruption(e.getCause())) throw e;
            problems = List.of(String.valueOf(e.getMessage()));
        }
        line.say(demo.summary());
        for (String problem : problems) line.say("WRONG: " + problem);
        line.say(problems.isEmpty() ? "one replica broke, nothing was lost" : "FAILED, see above");
        return problems.isEmpty() ? 0 : WRONG;
    }

    private int serve(List<ReplicaFile> replicas, ServedMirror.Settings settings, LiveLine line) throws InterruptedException {
        Assembly assembly = Assembly.of(replicas, quorum == null ? OptionalInt.empty() : OptionalInt.of(quorum), degraded);
        for (String remark : assembly.remarks()) line.say(remark);
        Traffic traffic = new Traffic();
        PrometheusEndpoint endpoint = metricsPort == null ? null : serveMetrics(metricsPort);
        UblkServer server = UblkServer.create().listener(traffic);
        if (endpoint != null) {
            UblkMetrics metrics = UblkMetrics.of(endpoint.registry());
            server = server.listener(traffic.and(metrics)).controlListener(metrics);
        }
        try (endpoint; ServedMirror mirror = ServedMirror.start(server, assembly, settings, new Faults())) {
            if (endpoint != null) line.say("metrics: " + endpoint.url());
            line.phase("serving " + mirror.device().path());
            line.watch(traffic, mirror.set());
            line.say("%s: %s on %s; Ctrl-C ends it".formatted(
                    mirror.device().path(), Bytes.mib(assembly.header().dataBytes()), paths));
            mirror.device().onDispose().toFuture().get();
            line.say(mirror.device().path() + " was taken away");
            return WRONG;
        } catch (ExecutionException e) {
            line.say("the device failed: " + e.getCause());
            return WRONG;
        } catch (InterruptedException e) {
            line.say("ended");
            return 0;
        }
    }

    private static PrometheusEndpoint serveMetrics(int port) {
        try {
            return PrometheusEndpoint.start(port);
        } catch (ChannelBindException e) {
            throw new MirrorException("no metrics on port " + port + ": " + Objects.requireNonNullElse(e.getCause(), e).getMessage());
        }
    }

    private static void delete(Path folder) throws IOException {
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) Files.delete(file);
        }
    }

    /** For picocli. */
    static final class Size implements CommandLine.ITypeConverter<Long> {

        @Override
        public Long convert(String text) {
            try {
                return Bytes.parse(text);
            } catch (IllegalArgumentException e) {
                throw new CommandLine.TypeConversionException(e.getMessage());
            }
        }
    }
}
