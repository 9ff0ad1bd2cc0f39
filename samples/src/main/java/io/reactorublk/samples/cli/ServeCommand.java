package io.reactorublk.samples.cli;

import io.reactorublk.BlockTarget;
import io.reactorublk.DataMode;
import io.reactorublk.UblkDevice;
import io.reactorublk.UblkServer;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParentCommand;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;
import reactor.core.publisher.Mono;

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

    @Option(names = "--delay", paramLabel = "TIME", scope = ScopeType.INHERIT, converter = Trouble.Delay.class,
            description = "Hold requests back: 5ms, or write=5ms. May be repeated.")
    private List<Trouble> delays = List.of();

    @Option(names = "--fault", paramLabel = "FAULT", scope = ScopeType.INHERIT, converter = Trouble.Failure.class,
            description = "Fail requests: EIO, EIO:write,flush or EIO:read:p=0.01:seed=7:first=3:at=1M+64K. May be repeated.")
    private List<Trouble> faults = List.of();

    /** What the target is to be opened for. */
    abstract Content open(Targets.Target target) throws Exception;

    /** What only this way to serve decides. */
    abstract UblkServer configure(UblkServer server, Targets.Target target, Content content);

    abstract Mono<UblkDevice> start(UblkServer server);

    @Override
    public void run() {
        throw new CommandLine.ParameterException(Objects.requireNonNull(spec).commandLine(), "What is behind the device? A target is missing.");
    }

    final int serve(Targets.Target target) throws Exception {
        if (!foreground && !Daemon.isOne()) return Daemon.onThisMachine().launch(root().output(), root().signals());
        Machine machine = root().machine();
        try (Content content = open(target)) {
            UblkServer server = UblkServer.create().kernel(machine.kernel()).dataMode(dataMode).serve(troubled(content.target()));
            UblkDevice device = Objects.requireNonNull(machine.await(start(configure(server, target, content))));
            try {
                announce(device);
                machine.await(Mono.firstWithSignal(device.onDispose(), root().signals().asked()));
                return CommandLine.ExitCode.OK;
            } finally {
                machine.await(device.disposeLater());
                Daemon.ended(device.id());
            }
        }
    }

    private void announce(UblkDevice device) throws Exception {
        if (Daemon.isOne()) {
            Daemon.isLive(device.id());
        } else if (root().output().isJson()) {
            root().output().json(Map.of("id", device.id(), "path", device.path().toString(), "pid", ProcessHandle.current().pid()));
        } else {
            root().output().say(device.path() + ": served; Ctrl-C removes it");
        }
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
