package io.reactorublk;

import io.reactorublk.abi.ublk_cmd_h;
import org.jspecify.annotations.Nullable;

/** What the block layer asks a target to do. Mirrors {@code UBLK_IO_OP_*} of {@code ublk_cmd.h}. */
public enum Operation {
    /** Fill the request's buffer from the device. */
    READ(ublk_cmd_h.UBLK_IO_OP_READ()),
    /** Store the request's buffer on the device. Durable after the next FLUSH, or at once if the request is FUA. */
    WRITE(ublk_cmd_h.UBLK_IO_OP_WRITE()),
    /** Make every write answered before this request durable. Has no offset and no length. */
    FLUSH(ublk_cmd_h.UBLK_IO_OP_FLUSH()),
    /** The range is no longer needed: its content is undefined from now on. May be ignored. */
    DISCARD(ublk_cmd_h.UBLK_IO_OP_DISCARD()),
    /** The range reads as zeroes from now on; if the request is {@link BlockRequest#isNoUnmap()}, it stays allocated. */
    WRITE_ZEROES(ublk_cmd_h.UBLK_IO_OP_WRITE_ZEROES());

    private static final @Nullable Operation[] BY_NUMBER = new Operation[32];

    static {
        for (Operation operation : values()) BY_NUMBER[operation.number] = operation;
    }

    private final int number;

    Operation(int number) {
        this.number = number;
    }

    /** The operation of a descriptor, or null for one that we never allowed the driver to send. */
    static @Nullable Operation of(int number) {
        return number < BY_NUMBER.length ? BY_NUMBER[number] : null;
    }

    /** Whether bytes travel with it. */
    public boolean hasData() {
        return this == READ || this == WRITE;
    }
}
