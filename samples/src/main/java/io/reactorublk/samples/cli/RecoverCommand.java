package io.reactorublk.samples.cli;

import io.reactorublk.UblkDevice;
import io.reactorublk.UblkServer;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** Serves a device whose server died or handed it over. What else the device is was decided when it was made. */
@Command(name = "recover", sortOptions = false, usageHelpAutoWidth = true,
        description = "Serves a device again whose server died. What is behind it must be the same as before, and is the next word.",
        subcommands = {Targets.Null.class, Targets.File.class, Targets.Stripe.class})
final class RecoverCommand extends ServeCommand {

    @Parameters(paramLabel = "ID", description = "N of /dev/ublkbN.")
    private int id;

    @Override
    Content open(Targets.Target target) throws Exception {
        return openFor(id, target);
    }

    @Override
    UblkServer configure(UblkServer server, Targets.Target target, Content content) {
        return server;
    }

    @Override
    UblkDevice start(UblkServer server) {
        return await(server.recover(id));
    }
}
