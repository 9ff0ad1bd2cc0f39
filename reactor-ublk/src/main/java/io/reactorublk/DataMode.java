package io.reactorublk;

import io.reactorublk.abi.ublk_cmd_h;
import java.util.Set;

/**
 * How the bytes of requests travel between the kernel and a target: one decision for a device, with
 * {@link UblkServer#dataMode}. A target that uses {@link BlockRequest#buffer} for operations of its own need not know it.
 *
 * <table>
 * <caption>What a target can use</caption>
 * <tr><th></th><th>{@code buffer()}</th><th>{@code data()}</th><th>{@code look} and {@code fill}</th></tr>
 * <tr><td>COPY, USER_COPY</td><td>memory</td><td>yes</td><td>yes</td></tr>
 * <tr><td>LATE_COPY</td><td>no</td><td>no</td><td>yes</td></tr>
 * <tr><td>ZERO_COPY, LATE_ZERO_COPY</td><td>the kernel's pages</td><td>no</td><td>yes</td></tr>
 * </table>
 *
 * Mirrors {@code UBLK_F_USER_COPY}, {@code UBLK_F_SUPPORT_ZERO_COPY} and {@code UBLK_F_AUTO_BUF_REG}.
 */
public enum DataMode {
    /** The driver copies: a WRITE's bytes into this process before it is delivered, a READ's out of it when it is answered. */
    COPY,

    /**
     * We copy, with {@code pread(2)} and {@code pwrite(2)} on the character device, each request whole: a turn of the loop
     * more than {@link #COPY} before a WRITE is delivered and before a READ is answered.
     */
    USER_COPY(Feature.USER_COPY),

    /**
     * Nothing is copied that the target does not ask for, with {@link BlockRequest#look} and {@link BlockRequest#fill}: it
     * allocates late, or looks at one block of many. No memory is set aside for the tags.
     */
    LATE_COPY(Feature.USER_COPY),

    /**
     * Nothing is copied: a request's pages are in the ring's table of buffers when it is delivered, and leave it with the
     * answer ({@code AUTO_BUF_REG}). Operations on the queue's own loop use them in place. The fastest way from 64 KiB on.
     */
    ZERO_COPY(Feature.AUTO_BUF_REG, Feature.SUPPORT_ZERO_COPY, Feature.USER_COPY),

    /**
     * Nothing is copied: each operation puts the pages into the table of its own ring for as long as it lasts
     * ({@code REGISTER_IO_BUF}). For targets that decide late whether they need the pages, or use them on other loops.
     */
    LATE_ZERO_COPY(Feature.SUPPORT_ZERO_COPY, Feature.USER_COPY);

    private final long flags;

    DataMode(Feature... features) {
        flags = Feature.flags(Set.of(features));
    }

    /** {@code UBLK_F_*} to ask for. */
    long flags() {
        return flags;
    }

    /** Whether a device with these features can be served so. */
    boolean fits(Set<Feature> features) {
        return flags == (Feature.flags(features) & ZERO_COPY.flags);
    }

    /** Whether each tag has memory in this process. */
    boolean hasMemory() {
        return this == COPY || this == USER_COPY;
    }

    /** {@code UBLK_BATCH_F_*} of PREP and COMMIT. */
    int batchFlags() {
        return switch (this) {
            case COPY -> ublk_cmd_h.UBLK_BATCH_F_HAS_BUF_ADDR();
            case ZERO_COPY -> ublk_cmd_h.UBLK_BATCH_F_AUTO_BUF_REG_FALLBACK();
            case USER_COPY, LATE_COPY, LATE_ZERO_COPY -> 0;
        };
    }
}
