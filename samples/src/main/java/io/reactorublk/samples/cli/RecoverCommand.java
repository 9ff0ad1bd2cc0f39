package io.reactorublk.samples.cli;

import io.reactorublk.DeviceParameters;
import io.reactorublk.UblkControl;
import io.reactorublk.UblkDevice;
import io.reactorublk.UblkServer;
import java.util.Objects;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;
import reactor.core.publisher.Mono;

/** Serves a device whose server died or handed it over. What else the device is was decided when it was made. */
@Command(name = "recover", sortOptions = false, usageHelpAutoWidth = true,
        description = "Serves a device again whose server died. What is behind it must be the same as before, and is the next word.",
        subcommands = {Targets.Null.class, Targets.File.class, Targets.Stripe.class, Targets.Mapped.class})
final class RecoverCommand extends ServeCommand {

    @Parameters(paramLabel = "ID", description = "N of /dev/ublkbN.")
    private int id;

    @Override
    Content open(Targets.Target target) throws Exception {
        DeviceParameters device = Objects.requireNonNull(root().with((UblkControl control) -> control.parameters(id)));
        return target.open(device.sizeBytes(), device.blockSize(), device.readOnly());
    }

    @Override
    UblkServer configure(UblkServer server, Targets.Target target, Content content) {
        return server;
    }

    @Override
    Mono<UblkDevice> start(UblkServer server) {
        return server.recover(id);
    }
}
