package io.reactorublk.samples.cli;

import io.reactorublk.BlockTarget;
import io.reactorublk.ControlListener;
import io.reactorublk.DataMode;
import io.reactorublk.DeviceParameters;
import io.reactorublk.SharedMemory;
import io.reactorublk.UblkControl;
import io.reactorublk.UblkDevice;
import io.reactorublk.UblkServer;
import io.reactorublk.micrometer.UblkMetrics;
import io.reactorublk.samples.PrometheusEndpoint;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParentCommand;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;
import reactor.core.Exceptions;
import reactor.core.publisher.Mono;
import reactor.netty.ChannelBindException;

/** Serves a target as a device, in this process or in one of its own; {@code add} and {@code recover} say which device. */
abstract class ServeCommand implements Runnable {

    @ParentCommand
    private @Nullable ReactorUblk root;

    @Spec
    private @Nullable CommandSpec spec;

    @Option(names = "--foreground", scope = ScopeType.INHERIT,
            description = "Serve it in this process, until Ctrl-C or SIGTERM, which remove the device. Else a process of its own does.")
    private boolean foreground;

    @Option(names = "--data-mode", paramLabel = "MODE", defaultValue = "copy", scope = ScopeType.INHERIT,
            description = "How bytes travel: ${COMPLETION-CANDIDATES}; ${DEFAULT-VALUE} if not given.")
    private DataMode dataMode = DataMode.COPY;

    @Option(names = "--no-affinity", scope = ScopeType.INHERIT,
            description = "Let the threads of queues run on any CPU, not only on those that the queue's requests come from.")
    private boolean noAffinity;

    @Option(names = "--loops", paramLabel = "N", scope = ScopeType.INHERIT,
            description = "How many threads serve the queues, in turn; as many as there are queues, if not given.")
    private @Nullable Integer loops;

    @Option(names = "--stop-grace", paramLabel = "TIME", defaultValue = "10s", scope = ScopeType.INHERIT, converter = Trouble.Time.class,
            description = "How long a device that stops waits for what is behind it to answer; ${DEFAULT-VALUE} if not given.")
    private Duration stopGrace = Duration.ZERO;

    @Option(names = "--deadline", paramLabel = "TIME", defaultValue = "20s", scope = ScopeType.INHERIT, converter = Trouble.Time.class,
            description = "How long a command to the driver may take; ${DEFAULT-VALUE} if not given.")
    private Duration deadline = Duration.ZERO;

    @Option(names = "--share", paramLabel = "FILE", scope = ScopeType.INHERIT,
            description = "Memory that applications share with the server, so that their requests in it need no copy: a file in /dev/shm or "
                    + "on hugetlbfs. May be repeated.")
    private List<Path> shared = List.of();

    @Option(names = "--metrics", paramLabel = "PORT", scope = ScopeType.INHERIT, converter = Port.class,
            description = "What the device does, for Prometheus, at http://127.0.0.1:PORT/metrics.")
    private @Nullable Integer metricsPort;

    @Option(names = "--delay", paramLabel = "TIME", scope = ScopeType.INHERIT, converter = Trouble.Delay.class,
            description = "Hold requests back: 5ms, or write=5ms. May be repeated.")
    private List<Trouble> delays = List.of();

    @Option(names = "--fault", paramLabel = "FAULT", scope = ScopeType.INHERIT, converter = Trouble.Failure.class,
            description = "Fail requests: EIO, EIO:write,flush or EIO:read:p=0.01:seed=7:first=3:at=1M+64K. May be repeated.")
    private List<Trouble> faults = List.of();

    @Option(names = "--die-at", paramLabel = "STEP", scope = ScopeType.INHERIT, converter = Death.Converter.class,
            description = "Die as of SIGKILL: when the driver has executed ADD_DEV, SET_PARAMS, START_DEV, STOP_DEV, DEL_DEV, "
                    + "START_USER_RECOVERY or END_USER_RECOVERY, or at a request such as write or read:100.")
    private @Nullable Death death;

    /** What the target is to be opened for. */
    abstract Content open(Targets.Target target) throws Exception;

    /** What was behind a device before. */
    final Content openFor(int id, Targets.Target target) throws IOException {
        if (target.isNew()) throw new IllegalArgumentException("--create would make it empty, and its users know what was in it; leave it out");
        DeviceParameters device = Objects.requireNonNull(root().with((UblkControl control) -> control.parameters(id)));
        return target.open(device.sizeBytes(), device.blockSize(), device.readOnly());
    }

    /** What only this way to serve decides. */
    abstract UblkServer configure(UblkServer server, Targets.Target target, Content content);

    /** Waits until it is there. */
    abstract UblkDevice start(UblkServer server) throws Exception;

    /** How long who uses the device had to wait for it to be served again, if it was served before. */
    OptionalLong pauseMillis() {
        return OptionalLong.empty();
    }

    @Override
    public void run() {
        throw new CommandLine.ParameterException(Objects.requireNonNull(spec).commandLine(), "What is behind the device? A target is missing.");
    }

    final int serve(Targets.Target target) throws Exception {
        if (!foreground && !Daemon.isOne()) return Daemon.onThisMachine().launch(root().output(), root().signals());
        try (Content content = open(target); PrometheusEndpoint endpoint = metricsPort == null ? null : endpoint(metricsPort)) {
            Statistics statistics = new Statistics();
            UblkServer server = configure(server(content, statistics, endpoint), target, content);
            UblkDevice device = start(server);
            root().signals().heed();
            AtomicReference<UblkDevice> served = new AtomicReference<>(device);
            boolean hasEnded = false;
            try (Door door = openDoor(device.id(), statistics, bytes -> resize(Objects.requireNonNull(served.get()), bytes, content))) {
                share(device);
                announce(device);
                for (Successor next = untilTheEnd(device, door); next != null; next = untilTheEnd(device, door)) {
                    device = offer(device, next, server);
                    served.set(device);
                }
                hasEnded = true;
                return CommandLine.ExitCode.OK;
            } finally {
                try {
                    if (hasEnded || isNew()) root().machine().await(device.disposeLater());
                } finally {
                    Daemon.ended(device.id());
                }
            }
        }
    }

    /** Whether nobody uses the device yet: else it is left to the next server if this one cannot go on. */
    boolean isNew() {
        return false;
    }

    private UblkServer server(Content content, Statistics statistics, @Nullable PrometheusEndpoint endpoint) {
        Runnable die = root().machine()::die;
        BlockTarget target = troubled(content.target());
        UblkServer server = UblkServer.create().kernel(root().machine().kernel()).dataMode(dataMode)
                .stopGrace(stopGrace).controlDeadline(deadline)
                .serve(death == null ? target : death.before(target, die));
        if (loops != null) server = server.loops(loops);
        if (noAffinity) server = server.withoutAffinity();
        if (!shared.isEmpty()) server = server.sharedMemory();
        UblkMetrics metrics = endpoint == null ? null : UblkMetrics.of(endpoint.registry());
        ControlListener commands = death == null ? ControlListener.NONE : death.listener(die);
        return server.listener(metrics == null ? statistics : statistics.and(metrics))
                .controlListener(metrics == null ? commands : (command, id, refusal, nanos) -> {
                    metrics.onCommand(command, id, refusal, nanos);
                    commands.onCommand(command, id, refusal, nanos);
                });
    }

    /** What is mapped here is mapped until the end of this process: the driver holds it for as long as the device is there. */
    private void share(UblkDevice device) {
        for (Path file : shared) root().machine().await(device.share(SharedMemory.open(root().machine().kernel(), file)));
    }

    /** Refuses what there is no room for: its users would be promised what is not there. */
    private void resize(UblkDevice device, long bytes, Content content) {
        long room = content.room().getAsLong();
        if (bytes > room) {
            throw new FailedException("what is behind %s has %s, less than the %s it shall be; make it larger first"
                    .formatted(device, Size.text(room), Size.text(bytes)));
        }
        root().machine().await(device.resize(bytes));
    }

    /** Without one a device is served all the same. */
    private @Nullable Door openDoor(int id, Statistics statistics, LongConsumer resize) {
        try {
            return root().machine().openDoor(id, statistics, Daemon.isOne(), resize);
        } catch (IOException e) {
            root().tell("no process will be able to look at /dev/ublkb%d, to resize it by its server, or to ask for it: %s".formatted(id, e));
            return null;
        }
    }

    /** Where its metrics are told. */
    PrometheusEndpoint endpoint(int port) {
        try {
            return PrometheusEndpoint.start(port);
        } catch (ChannelBindException e) {
            throw new FailedException("no metrics on port " + port + ": " + Objects.requireNonNullElse(e.getCause(), e).getMessage()
                    + "; choose another port");
        }
    }

    /** {@code 9100}, or {@code :9100} as other programs have it. */
    private static final class Port implements CommandLine.ITypeConverter<Integer> {

        @Override
        public Integer convert(String text) {
            try {
                int port = Integer.parseInt(text.startsWith(":") ? text.substring(1) : text);
                if (port >= 0 && port <= 0xFFFF) return port;
            } catch (NumberFormatException e) {
                // Said below.
            }
            throw new CommandLine.TypeConversionException("\"" + text + "\" is no port; 9100 and :9100 are");
        }
    }

    /** Who asks for the device before it is gone, or before this process is asked to end; null if nobody does. */
    private @Nullable Successor untilTheEnd(UblkDevice device, @Nullable Door door) {
        Mono<Successor> end = Mono.firstWithSignal(device.onDispose(), root().signals().asked()).then(Mono.empty());
        return root().machine().await(door == null || device.isDisposed() ? end : Mono.firstWithSignal(end, door.successor()));
    }

    /** @return the device: disposed if the next one serves it */
    private UblkDevice offer(UblkDevice device, Successor next, UblkServer server) {
        try (next) {
            try {
                root().machine().await(device.handOver());
            } catch (RuntimeException e) {
                next.refuse(String.valueOf(Exceptions.unwrap(e).getMessage()));
                return device;
            }
            Daemon.ended(device.id());                                 // from now on the file is the next one's
            if (next.takesOver()) return device;
            return takeBack(device.id(), next, server);
        }
    }

    private UblkDevice takeBack(int id, Successor next, UblkServer server) {
        try {
            UblkDevice back = await(server.recover(id));
            share(back);
            Daemon.serves(id);
            next.hasFailed();
            return back;
        } catch (RuntimeException e) {
            next.refuse(String.valueOf(e.getMessage()));
            throw e;
        }
    }

    private void announce(UblkDevice device) throws IOException {
        OptionalLong pause = pauseMillis();
        if (Daemon.isOne()) {
            Daemon.serves(device.id());
            Daemon.isLive(device.id(), pause);
        } else if (root().output().isJson()) {
            Map<String, Object> facts = Daemon.facts(device.id(), ProcessHandle.current().pid(), pause);
            root().output().json(facts);
        } else {
            root().output().say(Daemon.text(device.id(), pause) + ": served; Ctrl-C removes it");
        }
    }

    final UblkDevice await(Mono<UblkDevice> device) {
        return Objects.requireNonNull(root().machine().await(device));
    }

    private BlockTarget troubled(BlockTarget target) {
        for (Trouble fault : faults) target = fault.apply(target);
        for (Trouble delay : delays) target = delay.apply(target);
        return target;
    }

    final ReactorUblk root() {
        return Objects.requireNonNull(root);
    }
}
