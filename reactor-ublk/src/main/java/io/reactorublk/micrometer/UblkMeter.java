package io.reactorublk.micrometer;

import java.util.List;

/**
 * The meters of devices. Those with a device's name are there from the start of its queue to its end, but for errors: those from
 * the first on. What is told of control commands is nobody's, and stays.
 */
public enum UblkMeter {

    /** The time of requests. */
    REQUEST("ublk.request", Type.TIMER, "seconds", List.of("device", "queue", "operation", "outcome"),
            "The time from the arrival of a request to the commit that takes its answer to the kernel; outcome is ok, or the name of "
                    + "the errno."),
    /** What was moved. */
    REQUEST_BYTES("ublk.request.bytes", Type.COUNTER, "bytes", List.of("device", "queue", "operation"),
            "What was read, written, discarded or zeroed by requests that succeeded. A flush has no bytes."),
    /** Requests in flight. */
    TAGS_INFLIGHT("ublk.tags.inflight", Type.GAUGE, "", List.of("device", "queue"),
            "Tags that the kernel has handed over and that were not given back to it yet. At the queue depth "
                    + "applications wait for tags."),
    /** The batch size on the way in. */
    FETCH_TAGS("ublk.fetch.tags", Type.DISTRIBUTION_SUMMARY, "tags", List.of("device", "queue"),
            "Requests that arrived in one completion of the fetch: under load more than one."),
    /** The batch size on the way out. */
    COMMIT_TAGS("ublk.commit.tags", Type.DISTRIBUTION_SUMMARY, "tags", List.of("device", "queue"),
            "Answers that left in one commit: under load more than one."),
    /** How often requests waited for the target. */
    FETCH_STARVED("ublk.fetch.starved", Type.COUNTER, "", List.of("device", "queue"),
            "Fetches that ended because requests waited and the target had asked for none: the target is the limit, "
                    + "not the kernel."),
    /** How long a loop was busy with a turn. */
    LOOP_TURN("ublk.loop.turn", Type.TIMER, "seconds", List.of("device", "queue"),
            "How long a turn of the queue's loop worked, without its time in the kernel: what arrives meanwhile waits. Of every "
                    + "17th turn."),                                   // not from EventLoop: the manual is made of this file alone
    /** The time of control commands. */
    CONTROL("ublk.control", Type.TIMER, "seconds", List.of("command", "outcome"),
            "The time of a command to the driver, such as START_DEV; outcome is ok, or the name of the errno: ETIMEDOUT after its "
                    + "deadline, ECANCELED if nobody waited for it any longer.");

    /** What kind of meter it is. */
    public enum Type {
        /** {@code io.micrometer.core.instrument.Timer}. */
        TIMER,
        /** {@code io.micrometer.core.instrument.DistributionSummary}. */
        DISTRIBUTION_SUMMARY,
        /** {@code io.micrometer.core.instrument.Gauge}. */
        GAUGE,
        /** {@code io.micrometer.core.instrument.Counter}. */
        COUNTER
    }

    private final String meterName;
    private final Type type;
    private final String unit;
    @SuppressWarnings("ImmutableEnumChecker") // made by List.of
    private final List<String> tags;
    private final String description;

    UblkMeter(String meterName, Type type, String unit, List<String> tags, String description) {
        this.meterName = meterName;
        this.type = type;
        this.unit = unit;
        this.tags = tags;
        this.description = description;
    }

    /** Its name in the registry, such as {@code ublk.request}; what others make of it is up to the registry. */
    public String meterName() {
        return meterName;
    }

    /** What kind of meter it is. */
    public Type type() {
        return type;
    }

    /** What it measures in; empty if it counts what its name says, as some registries append the unit to the name. */
    public String unit() {
        return unit;
    }

    /**
     * The keys of its tags. Device is the name of the block device, {@code ublkbN}, as in {@code /proc/diskstats}; queue its
     * number within the device; operation that of {@link io.reactorublk.Operation}, in small letters; command what
     * {@link io.reactorublk.ControlListener} calls it.
     */
    public List<String> tags() {
        return tags;
    }

    /** What it says, in full sentences. */
    public String description() {
        return description;
    }
}
