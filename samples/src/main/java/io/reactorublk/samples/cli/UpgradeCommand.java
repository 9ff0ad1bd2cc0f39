package io.reactorublk.samples.cli;

import io.reactorublk.DeviceStatus;
import io.reactorublk.UblkControl;
import io.reactorublk.UblkDevice;
import io.reactorublk.UblkServer;
import io.reactorublk.samples.PrometheusEndpoint;
import java.util.Objects;
import java.util.OptionalLong;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/**
 * Serves a device in place of the process that does, while it is in use. All that can fail before is done before: until that
 * process is asked for the device it knows nothing of this.
 */
@Command(name = "upgrade", sortOptions = false, usageHelpAutoWidth = true,
        description = "Serves a device in place of the process that does, which ends: another version, other options. Who uses it sees "
                + "a pause. What is behind it must be the same as before, and is the next word.",
        subcommands = {Targets.Null.class, Targets.File.class, Targets.Stripe.class})
final class UpgradeCommand extends ServeCommand {

    @Parameters(paramLabel = "ID", description = "N of /dev/ublkbN.")
    private int id;

    private OptionalLong pauseMillis = OptionalLong.empty();

    @Override
    Content open(Targets.Target target) throws Exception {
        return orTellWhoServes(() -> openFor(id, target));
    }

    @Override
    UblkServer configure(UblkServer server, Targets.Target target, Content content) {
        return server;
    }

    /** The process before may have the port until it ends. */
    @Override
    PrometheusEndpoint endpoint(int port) {
        return PrometheusEndpoint.startWhenFree(port);
    }

    @Override
    UblkDevice start(UblkServer server) throws Exception {
        return orTellWhoServes(() -> {
            DeviceStatus device = status();
            if (device.isRecoverable()) return await(server.recover(id));
            root().machine().await(server.rehearse(id));
            try (Predecessor predecessor = root().machine().door(id).map(Predecessor::new).orElseThrow(() -> noDaemon(device))) {
                return takeOver(server, predecessor);
            }
        });
    }

    private static FailedException noDaemon(DeviceStatus device) {
        return new FailedException(("process %d cannot be asked for %s: it was started with --foreground, or is none of reactor-ublk's. "
                + "Let it hand over in its own way, and use recover").formatted(device.serverPid(), device.path()));
    }

    private UblkDevice takeOver(UblkServer server, Predecessor predecessor) {
        long begin = System.nanoTime();
        predecessor.handsOver();
        UblkDevice device;
        try {
            device = await(server.recover(id));
        } catch (RuntimeException e) {
            String obstacle = predecessor.takesBack();
            if (obstacle != null) root().tell("the process before has not taken it back: " + obstacle);
            throw e;
        }
        predecessor.mayEnd();
        pauseMillis = OptionalLong.of(TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - begin));
        return device;
    }

    @Override
    OptionalLong pauseMillis() {
        return pauseMillis;
    }

    private DeviceStatus status() {
        return Objects.requireNonNull(root().with((UblkControl control) -> control.inspect(id)));
    }

    /** Of a failure the first question is whether the device is still served. */
    private <T> T orTellWhoServes(Callable<T> step) throws Exception {
        try {
            return step.call();
        } catch (Exception e) {
            root().tell(whoServes());
            throw e;
        }
    }

    private String whoServes() {
        try {
            DeviceStatus device = status();
            return device.isRecoverable() ? "%s has no server; recover %d serves it again".formatted(device.path(), id)
                    : "%s is served as before, by process %d".formatted(device.path(), device.serverPid());
        } catch (RuntimeException e) {
            return "/dev/ublkb%d is not there".formatted(id);
        }
    }
}
