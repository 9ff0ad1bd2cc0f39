package io.reactorublk.memory;

import io.reactorublk.abi.ublk_cmd_h;
import io.reactorublk.uring.Errno;
import java.lang.foreign.MemorySegment;
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

    final int operation;
    final int flags;
    /** Who waits; null is success. */
    final Consumer<@Nullable Errno> whenEnded;
    /** The application's own, in which this request has a part. */
    private final MemorySegment memory;
    /** Where what is left to do begins; moves when a part was done. */
    private long from;
    private long offset;
    private long length;
    int tag;
    int partsOfNothing;
    /** How often the driver was given it. */
    int starts;
    boolean ended;
    /** Where in registered memory its bytes are, while the driver has it. */
    long place = SharedPages.NOWHERE;

    private IoRequest(int operation, int flags, long offset, long length, MemorySegment memory, long from,
            Consumer<@Nullable Errno> whenEnded) {
        this.operation = operation;
        this.flags = flags;
        this.offset = offset;
        this.length = length;
        this.memory = memory;
        this.from = from;
        this.whenEnded = whenEnded;
    }

    /** A transfer of a part of this memory. */
    static IoRequest transfer(int operation, int flags, long offset, MemorySegment memory, long from, long length,
            Consumer<@Nullable Errno> whenEnded) {
        return new IoRequest(operation, flags, offset, length, memory, from, whenEnded);
    }

    static IoRequest range(int operation, int flags, long offset, long length, Consumer<@Nullable Errno> whenEnded) {
        return new IoRequest(operation, flags, offset, length, MemorySegment.NULL, 0, whenEnded);
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

    /** All of the application's memory, of which its own part begins at {@link #from}. */
    MemorySegment memory() {
        return memory;
    }

    long from() {
        return from;
    }

    /** Its bytes, as far as they are not done. */
    MemorySegment bytes() {
        return memory.asSlice(from, length);
    }

    /** Whether the server finds them in memory it shares with the application. */
    boolean isShared() {
        return place != SharedPages.NOWHERE;
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
