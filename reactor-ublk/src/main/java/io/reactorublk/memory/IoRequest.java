package io.reactorublk.memory;

import io.reactorublk.abi.ublk_cmd_h;
import io.reactorublk.uring.Errno;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** One request of the block layer, with the application's bytes. Mirrors {@code struct request}. */
final class IoRequest {

    static final int READ = ublk_cmd_h.UBLK_IO_OP_READ();
    static final int WRITE = ublk_cmd_h.UBLK_IO_OP_WRITE();
    static final int FLUSH = ublk_cmd_h.UBLK_IO_OP_FLUSH();
    static final int DISCARD = ublk_cmd_h.UBLK_IO_OP_DISCARD();
    static final int WRITE_ZEROES = ublk_cmd_h.UBLK_IO_OP_WRITE_ZEROES();

    private static final String[] NAMES = {"READ", "WRITE", "FLUSH", "DISCARD", "WRITE_SAME", "WRITE_ZEROES"};
    private static final byte[] NOTHING = {};

    final int operation;
    final int flags;
    /** Who waits; null is success. */
    final Consumer<@Nullable Errno> whenEnded;
    private final byte[] bytes;
    /** Where what is left to do begins; moves when a part was done. */
    private int from;
    private long offset;
    private long length;
    int tag;
    int partsOfNothing;

    private IoRequest(int operation, int flags, long offset, long length, byte[] bytes, int from, Consumer<@Nullable Errno> whenEnded) {
        this.operation = operation;
        this.flags = flags;
        this.offset = offset;
        this.length = length;
        this.bytes = bytes;
        this.from = from;
        this.whenEnded = whenEnded;
    }

    /** A transfer of a part of these bytes. */
    static IoRequest transfer(int operation, int flags, long offset, byte[] bytes, int from, int length, Consumer<@Nullable Errno> whenEnded) {
        return new IoRequest(operation, flags, offset, length, bytes, from, whenEnded);
    }

    static IoRequest range(int operation, int flags, long offset, long length, Consumer<@Nullable Errno> whenEnded) {
        return new IoRequest(operation, flags, offset, length, NOTHING, 0, whenEnded);
    }

    boolean hasData() {
        return operation == READ || operation == WRITE;
    }

    long offset() {
        return offset;
    }

    long length() {
        return length;
    }

    byte[] bytes() {
        return bytes;
    }

    int from() {
        return from;
    }

    /** {@code blk_update_request}: so many bytes were done; whether some are left. */
    boolean advance(int done) {
        offset += done;
        from += done;
        length -= done;
        return length > 0;
    }

    /** What it is at this moment, to be put into words if somebody asks. */
    Name name() {
        return new Name(operation, length, offset, tag);
    }

    record Name(int operation, long length, long offset, int tag) {

        @Override
        public String toString() {
            return NAMES[operation] + " of " + length + " bytes at " + offset + " (tag " + tag + ")";
        }
    }

    @Override
    public String toString() {
        return name().toString();
    }
}
