package io.reactorublk.samples.cli;

import io.reactorublk.Recovery;
import io.reactorublk.UblkDevice;
import io.reactorublk.UblkServer;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.ScopeType;
import reactor.core.publisher.Mono;

/** Makes a device. */
@Command(name = "add", sortOptions = false, usageHelpAutoWidth = true,
        description = "Makes a device and serves it. What is behind it is the next word.",
        subcommands = {Targets.Null.class, Targets.Ram.class, Targets.File.class, Targets.Stripe.class, Targets.Mapped.class})
final class AddCommand extends ServeCommand {

    @Option(names = "--size", paramLabel = "SIZE", converter = Size.class, scope = ScopeType.INHERIT,
            description = "Such as 512M or 4G; that of what is behind it, if not given.")
    private long sizeBytes;

    @Option(names = "--id", paramLabel = "N", scope = ScopeType.INHERIT,
            description = "N of /dev/ublkbN; the lowest that is free, if not given.")
    private @Nullable Integer id;

    @Option(names = "--queues", paramLabel = "N", defaultValue = "1", scope = ScopeType.INHERIT,
            description = "Hardware queues, each with a thread of its own; ${DEFAULT-VALUE} if not given.")
    private int queues;

    @Option(names = "--depth", paramLabel = "N", defaultValue = "128", scope = ScopeType.INHERIT,
            description = "Requests in flight on each queue; ${DEFAULT-VALUE} if not given.")
    private int depth;

    @Option(names = "--block-size", paramLabel = "SIZE", defaultValue = "512", converter = Size.Small.class, scope = ScopeType.INHERIT,
            description = "The smallest addressable unit, 512 to 4K; ${DEFAULT-VALUE} if not given.")
    private int blockSize;

    @Option(names = "--max-io", paramLabel = "SIZE", defaultValue = "512K", converter = Size.Small.class, scope = ScopeType.INHERIT,
            description = "The longest READ or WRITE; ${DEFAULT-VALUE} if not given. In copy mode each request has as much locked memory.")
    private int maxIoBytes;

    @Option(names = "--read-only", scope = ScopeType.INHERIT, description = "Refuse writes.")
    private boolean readOnly;

    @Option(names = "--write-through", scope = ScopeType.INHERIT,
            description = "Without FLUSH: only for what is as durable as it will ever be, null and ram.")
    private boolean writeThrough;

    @Option(names = "--recovery", paramLabel = "POLICY", defaultValue = "none", scope = ScopeType.INHERIT,
            description = "What becomes of it when its server dies: ${COMPLETION-CANDIDATES}; ${DEFAULT-VALUE} if not given.")
    private Recovery recovery = Recovery.NONE;

    @Override
    Content open(Targets.Target target) throws Exception {
        if (writeThrough && !target.needsNoFlush()) {
            throw new IllegalArgumentException("--write-through would lose writes: this target makes them durable with FLUSH, "
                    + "which would never be sent; leave it out");
        }
        if (recovery != Recovery.NONE && target.isForgetful()) {
            throw new IllegalArgumentException("--recovery is of no use: what is in this target dies with its server; leave it out");
        }
        return target.open(sizeBytes, blockSize, readOnly);
    }

    @Override
    UblkServer configure(UblkServer server, Targets.Target target, Content content) {
        UblkServer configured = server.blockSize(blockSize).size(content.sizeBytes()).queues(queues).queueDepth(depth)
                .maxIoBytes(maxIoBytes).recovery(recovery).fua();       // all targets here heed it
        if (id != null) configured = configured.id(id);
        if (readOnly) configured = configured.readOnly();
        if (writeThrough) configured = configured.writeThrough();
        return target.isDirect() ? configured.dmaAlignment(blockSize) : configured;
    }

    @Override
    Mono<UblkDevice> start(UblkServer server) {
        return server.start();
    }
}
