package io.reactorublk.samples.cli;

import io.reactorublk.DeviceParameters;
import io.reactorublk.DeviceStatus;
import io.reactorublk.Feature;
import io.reactorublk.UblkControl;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import reactor.core.publisher.Mono;

/**
 * A device as it is shown.
 *
 * @param parameters empty if it does not tell: it is being stopped, or was never given any
 */
record Described(DeviceStatus status, Optional<DeviceParameters> parameters) {

    static final List<String> HEADING = List.of("DEVICE", "STATE", "SIZE", "QUEUES", "DEPTH", "MAX-IO", "RECOVERY", "SERVER");

    /** The driver tells the parameters at once, or only when a stop that hangs has ended. */
    private static final Duration PATIENCE = Duration.ofSeconds(1);

    static Mono<Described> of(UblkControl control, DeviceStatus status) {
        return control.parameters(status.id())
                .map(Optional::of)
                .timeout(PATIENCE)
                .onErrorReturn(Optional.empty())
                .map(parameters -> new Described(status, parameters));
    }

    boolean isServerAlive() {
        return status.serverPid() > 0 && ProcessHandle.of(status.serverPid()).isPresent();
    }

    /** A device that nobody serves nor will: its server died and took it along, but for the number. */
    private boolean isLeftBehind() {
        return status.state() == DeviceStatus.State.DEAD && !isServerAlive();
    }

    private String state() {
        return switch (status.state()) {
            case LIVE -> "@|green live|@";
            case QUIESCED -> "@|yellow quiesced|@";
            case FAIL_IO -> "@|red fail_io|@";
            case DEAD -> "@|red dead|@";
        };
    }

    private String server() {
        if (status.serverPid() <= 0) return "none";
        return "pid " + status.serverPid() + (isServerAlive() ? "" : " (gone)");
    }

    List<String> row() {
        return List.of(status.path().toString(), state(), parameters.map(p -> Size.text(p.sizeBytes())).orElse("?"),
                Integer.toString(status.queues()), Integer.toString(status.queueDepth()), Size.text(status.maxIoBytes()),
                status.recovery().name().toLowerCase(java.util.Locale.ROOT), server());
    }

    /** For people. */
    Map<String, String> facts() {
        Map<String, String> facts = new LinkedHashMap<>();
        facts.put("device", status.path().toString());
        facts.put("state", state());
        facts.put("server", server());
        facts.put("owner", "uid %d, gid %d".formatted(status.ownerUid(), status.ownerGid()));
        facts.put("queues", "%d, each for %d requests of up to %s".formatted(
                status.queues(), status.queueDepth(), Size.text(status.maxIoBytes())));
        facts.put("recovery", status.recovery().name().toLowerCase(java.util.Locale.ROOT));
        facts.put("features", names(status.features()).stream().collect(Collectors.joining(" ")));
        if (parameters.isEmpty()) facts.put("parameters", "it does not tell: it is being stopped, or was never started");
        parameters.ifPresent(p -> {
            facts.put("size", "%s (%d bytes)".formatted(Size.text(p.sizeBytes()), p.sizeBytes()));
            facts.put("blocks", "%d bytes, physical %d".formatted(p.blockSize(), p.physicalBlockSize()));
            facts.put("cache", (p.volatileCache() ? "write-back" : "write-through") + (p.fua() ? ", FUA" : ""));
            facts.put("discard", p.maxDiscardBytes() == 0 ? "none" : "up to %s, in units of %s".formatted(
                    Size.text(p.maxDiscardBytes()), Size.text(p.discardGranularityBytes())));
            facts.put("write zeroes", p.maxWriteZeroesBytes() == 0 ? "none" : "up to " + Size.text(p.maxWriteZeroesBytes()));
            if (p.readOnly()) facts.put("access", "read-only");
            if (p.rotational()) facts.put("seeks", "slow (rotational)");
        });
        int id = status.id();
        if (status.isRecoverable()) {
            facts.put("remedy", "reactor-ublk recover %d TARGET serves it again; reactor-ublk remove %d gives it up".formatted(id, id));
        } else if (isLeftBehind()) {
            facts.put("remedy", "reactor-ublk remove %d frees its number".formatted(id));
        }
        return facts;
    }

    /** For programs. */
    Map<String, Object> json() {
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("id", status.id());
        json.put("path", status.path().toString());
        json.put("state", status.state().name());
        json.put("serverPid", status.serverPid());
        json.put("serverAlive", isServerAlive());
        json.put("queues", status.queues());
        json.put("queueDepth", status.queueDepth());
        json.put("maxIoBytes", status.maxIoBytes());
        json.put("recovery", status.recovery().name());
        json.put("recoverable", status.isRecoverable());
        json.put("features", names(status.features()));
        json.put("ownerUid", status.ownerUid());
        json.put("ownerGid", status.ownerGid());
        parameters.ifPresent(p -> {
            json.put("sizeBytes", p.sizeBytes());
            json.put("blockSize", p.blockSize());
            json.put("physicalBlockSize", p.physicalBlockSize());
            json.put("readOnly", p.readOnly());
            json.put("rotational", p.rotational());
            json.put("volatileCache", p.volatileCache());
            json.put("fua", p.fua());
            json.put("discardGranularityBytes", p.discardGranularityBytes());
            json.put("maxDiscardBytes", p.maxDiscardBytes());
            json.put("maxWriteZeroesBytes", p.maxWriteZeroesBytes());
            json.put("dmaAlignment", p.dmaAlignment());
            json.put("maxSegments", p.maxSegments());
            json.put("maxSegmentBytes", p.maxSegmentBytes());
        });
        return json;
    }

    static List<String> names(Iterable<Feature> features) {
        List<String> names = new ArrayList<>();
        for (Feature feature : features) names.add(feature.name());
        names.sort(null);
        return names;
    }
}
