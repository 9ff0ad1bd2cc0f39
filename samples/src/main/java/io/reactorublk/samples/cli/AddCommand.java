package io.reactorublk.samples.cli;

import io.reactorublk.DeviceParameters;
import io.reactorublk.DeviceStatus;
import io.reactorublk.Feature;
import io.reactorublk.Recovery;
import io.reactorublk.UblkDevice;
import io.reactorublk.UblkServer;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.KernelException;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.ScopeType;
import reactor.core.publisher.Mono;

/** Makes a device. */
@Command(name = "add", sortOptions = false, usageHelpAutoWidth = true,
        description = "Makes a device and serves it. What is behind it is the next word.",
        subcommands = {Targets.Null.class, Targets.Ram.class, Targets.File.class, Targets.Stripe.class, Targets.Mirrored.class,
                Targets.Mapped.class})
final class AddCommand extends ServeCommand {

    @Option(names = "--size", paramLabel = "SIZE", converter = Size.class, scope = ScopeType.INHERIT,
            description = "Such as 512M or 4G; that of what is behind it, if not given.")
    private long sizeBytes;

    @Option(names = "--id", paramLabel = "N", scope = ScopeType.INHERIT,
            description = "N of /dev/ublkbN; the lowest that is free, if not given.")
    private @Nullable Integer id;

    @Option(names = "--or-recover", scope = ScopeType.INHERIT,
            description = "For who starts it again and again: if device N waits for a server, serve it again, as it was made; and remove first "
                    + "what a server that died has left of it.")
    private boolean orRecover;

    @Option(names = "--queues", paramLabel = "N", defaultValue = "1", scope = ScopeType.INHERIT,
            description = "Hardware queues, each with a thread of its own; ${DEFAULT-VALUE} if not given.")
    private int queues;

    @Option(names = "--depth", paramLabel = "N", defaultValue = "128", scope = ScopeType.INHERIT,
            description = "Requests in flight on each queue; ${DEFAULT-VALUE} if not given.")
    private int depth;

    @Option(names = "--block-size", paramLabel = "SIZE", defaultValue = "512", converter = Size.Small.class, scope = ScopeType.INHERIT,
            description = "The smallest addressable unit, 512 to 4K; ${DEFAULT-VALUE} if not given.")
    private int blockSize;

    @Option(names = "--physical-block-size", paramLabel = "SIZE", converter = Size.Small.class, scope = ScopeType.INHERIT,
            description = "What is written without reading first; 4K if not given.")
    private @Nullable Integer physicalBlockSize;

    @Option(names = "--max-io", paramLabel = "SIZE", defaultValue = "512K", converter = Size.Small.class, scope = ScopeType.INHERIT,
            description = "The longest READ or WRITE; ${DEFAULT-VALUE} if not given. In copy mode each request has as much locked memory.")
    private int maxIoBytes;

    @Option(names = "--max-discard", paramLabel = "SIZE", defaultValue = "1G", converter = Size.class, scope = ScopeType.INHERIT,
            description = "The longest DISCARD, 0 for none; ${DEFAULT-VALUE} if not given.")
    private long maxDiscardBytes;

    @Option(names = "--discard-granularity", paramLabel = "SIZE", converter = Size.Small.class, scope = ScopeType.INHERIT,
            description = "What is given back at a time; 4K if not given.")
    private @Nullable Integer discardGranularityBytes;

    @Option(names = "--max-write-zeroes", paramLabel = "SIZE", defaultValue = "1G", converter = Size.class, scope = ScopeType.INHERIT,
            description = "The longest WRITE_ZEROES, 0 for none; ${DEFAULT-VALUE} if not given.")
    private long maxWriteZeroesBytes;

    @Option(names = "--dma-alignment", paramLabel = "SIZE", converter = Size.Small.class, scope = ScopeType.INHERIT,
            description = "What the memory of direct I/O must begin and end at; 4 if not given, or a block with --direct.")
    private @Nullable Integer dmaAlignment;

    @Option(names = "--max-segments", paramLabel = "N:SIZE", scope = ScopeType.INHERIT, converter = Segments.Converter.class,
            description = "In how many pieces of memory a request may be, and how long one can be; no limit if not given.")
    private @Nullable Segments maxSegments;

    @Option(names = "--read-only", scope = ScopeType.INHERIT, description = "Refuse writes.")
    private boolean readOnly;

    @Option(names = "--write-through", scope = ScopeType.INHERIT,
            description = "Without FLUSH: only for what is as durable as it will ever be, null and ram.")
    private boolean writeThrough;

    @Option(names = "--rotational", scope = ScopeType.INHERIT, description = "Slow to seek: the kernel sorts what it asks for.")
    private boolean rotational;

    @Option(names = "--no-partition-scan", scope = ScopeType.INHERIT, description = "Do not look for partitions when it starts.")
    private boolean noPartitionScan;

    @Option(names = "--unprivileged", scope = ScopeType.INHERIT,
            description = "Without root, where an administrator has let users in; the manual says how, and what is different.")
    private boolean unprivileged;

    @Option(names = "--recovery", paramLabel = "POLICY", defaultValue = "none", scope = ScopeType.INHERIT,
            description = "What becomes of it when its server dies: ${COMPLETION-CANDIDATES}; ${DEFAULT-VALUE} if not given.")
    private Recovery recovery = Recovery.NONE;

    /** The device, if it was there and waits for us. Then what it is was decided when it was made. */
    private @Nullable DeviceStatus waiting;

    @Override
    Content open(Targets.Target target) throws Exception {
        if (writeThrough && !target.needsNoFlush()) {
            throw new IllegalArgumentException("--write-through would lose writes: this target makes them durable with FLUSH, "
                    + "which would never be sent; leave it out");
        }
        String why = target.whyItEndsWithItsServer();
        if (recovery != Recovery.NONE && why != null) {
            throw new IllegalArgumentException("--recovery is of no use: " + why + "; leave it out");
        }
        if (orRecover) waiting = leftBehind(target);
        if (waiting == null) return target.open(sizeBytes, blockSize, readOnly);
        root().signals().heed();                                       // who wants it to end wants it removed, not left to wait
        return openFor(waiting.id(), target);
    }

    /** What there is of the device: null if there is nothing, or nothing any more. */
    private @Nullable DeviceStatus leftBehind(Targets.Target target) {
        Integer number = id;
        if (number == null) throw new IllegalArgumentException("--or-recover, but of which device? Add --id N");
        if (target.isNew()) throw new IllegalArgumentException("--create would make it anew each time; make it once, and leave it out with --or-recover");
        DeviceStatus there = root().with(control ->
                control.inspect(number).onErrorResume(e -> e instanceof KernelException refusal && refusal.errno() == Errno.ENODEV, e -> Mono.empty()));
        if (there == null) return null;
        if (there.state() == DeviceStatus.State.DEAD) {
            root().with(control -> control.remove(there.id()));
            root().tell("%s had died with its server, and is made anew".formatted(there.path()));
            return null;
        }
        if (!there.isRecoverable()) {
            throw new FailedException("%s is there, and process %d serves it, or has just died".formatted(there.path(), there.serverPid()));
        }
        String why = target.whyItEndsWithItsServer();
        if (why == null) return there;
        throw new IllegalArgumentException("%s waits for what was behind it, and this cannot have been: %s; remove %d gives it up"
                .formatted(there.path(), why, there.id()));
    }

    @Override
    UblkServer configure(UblkServer server, Targets.Target target, Content content) {
        if (waiting != null) return server;
        UblkServer configured = physicalBlockSize == null ? server : server.physicalBlockSize(physicalBlockSize);
        configured = configured.blockSize(blockSize).size(content.sizeBytes()).queues(queues).queueDepth(depth)
                .maxIoBytes(maxIoBytes).maxDiscardBytes(maxDiscardBytes).maxWriteZeroesBytes(maxWriteZeroesBytes)
                .recovery(recovery).fua();                              // all targets here heed it
        if (discardGranularityBytes != null) configured = configured.discardGranularity(discardGranularityBytes);
        if (maxSegments != null) configured = configured.maxSegments(maxSegments.count, maxSegments.maxBytes);
        if (id != null) configured = configured.id(id);
        if (readOnly) configured = configured.readOnly();
        if (writeThrough) configured = configured.writeThrough();
        if (rotational) configured = configured.rotational();
        if (noPartitionScan) configured = configured.withoutPartitionScan();
        if (unprivileged) configured = configured.unprivileged();
        if (dmaAlignment != null) return configured.dmaAlignment(dmaAlignment);
        return target.isDirect() ? configured.dmaAlignment(blockSize) : configured;
    }

    private record Segments(int count, int maxBytes) {

        /** {@code 16:64K}. */
        private static final class Converter implements CommandLine.ITypeConverter<Segments> {

            @Override
            public Segments convert(String text) {
                String[] parts = text.split(":", -1);
                if (parts.length == 2 && parts[0].matches("\\d{1,5}")) {
                    return new Segments(Integer.parseInt(parts[0]), new Size.Small().convert(parts[1]));
                }
                throw new CommandLine.TypeConversionException("\"" + text + "\" are no segments; 16:64K are: how many, and how long one can be");
            }
        }
    }

    @Override
    boolean isNew() {
        return waiting == null;
    }

    /** A signal waits until it is there and removes it: what is half made would stay when its server is gone. */
    @Override
    UblkDevice start(UblkServer server) {
        root().signals().heed();
        if (waiting == null) return await(server.start());
        tellWhatStays(waiting);
        return await(server.recover(waiting.id()));
    }

    /** Of options that ask for something else nobody shall believe that they were heeded. */
    private void tellWhatStays(DeviceStatus was) {
        DeviceParameters is = Objects.requireNonNull(root().with(control -> control.parameters(was.id())));
        List<String> stays = new ArrayList<>();
        if (sizeBytes != 0) addOther(stays, "--size", Size.text(is.sizeBytes()), Size.text(sizeBytes));
        addOther(stays, "--queues", was.queues(), queues);
        addOther(stays, "--depth", was.queueDepth(), depth);
        addOther(stays, "--max-io", Size.text(was.maxIoBytes()), Size.text(maxIoBytes));
        addOther(stays, "--block-size", is.blockSize(), blockSize);
        if (physicalBlockSize != null) addOther(stays, "--physical-block-size", is.physicalBlockSize(), physicalBlockSize);
        addOther(stays, "--read-only", is.readOnly(), readOnly);
        addOther(stays, "--write-through", !is.volatileCache(), writeThrough);
        addOther(stays, "--rotational", is.rotational(), rotational);
        addOther(stays, "--no-partition-scan", was.features().contains(Feature.NO_AUTO_PART_SCAN), noPartitionScan);
        addOther(stays, "--recovery", was.recovery(), recovery);
        root().tell("%s has lost its server; serving it again, as it was made%s".formatted(was.path(),
                stays.isEmpty() ? "" : ": " + String.join(", ", stays) + "; to change that, remove it and make it anew"));
    }

    private static void addOther(List<String> stays, String option, Object is, Object asked) {
        if (!is.equals(asked)) stays.add("%s is %s, not %s".formatted(option, is, asked));
    }
}
