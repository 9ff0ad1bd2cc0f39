package io.reactorublk;

import io.reactorublk.abi.ublk_cmd_h;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.IoBuffer;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import org.jspecify.annotations.Nullable;

/**
 * One I/O that the kernel asks for. Valid from {@code onNext} until its completion is emitted; after that neither it nor
 * its bytes may be touched, because its tag and its memory belong to the next request.
 *
 * <p>An entity: two requests with equal fields are two requests. Its accessors may be used from any thread.
 */
public final class BlockRequest {

    /** 512, the unit of the block layer, whatever the device's block size. */
    static final int SECTOR_BYTES = 512;

    private static final int OPERATION_MASK = 0xff;
    private static final int FAIL_FAST = ublk_cmd_h.UBLK_IO_F_FAILFAST_DEV()
            | ublk_cmd_h.UBLK_IO_F_FAILFAST_TRANSPORT() | ublk_cmd_h.UBLK_IO_F_FAILFAST_DRIVER();

    private static final int IN_FLIGHT = 0;
    private static final int ANSWERED = 1;
    private static final int LOST = 2;
    private static final VarHandle STATE;

    static {
        try {
            STATE = MethodHandles.lookup().findVarHandle(BlockRequest.class, "state", int.class);
        } catch (ReflectiveOperationException e) {
            throw new ExceptionInInitializerError(e);
        }
    }

    private final BlockQueue queue;
    private final int tag;
    private final Operation operation;
    private final int flags;
    private final long offset;
    private final long length;
    private @Nullable IoBuffer buffer;
    private volatile int state;

    BlockRequest(BlockQueue queue, int tag, Operation operation, int operationAndFlags, long offset, long length) {
        this.queue = queue;
        this.tag = tag;
        this.operation = operation;
        this.flags = operationAndFlags & ~OPERATION_MASK;
        this.offset = offset;
        this.length = length;
    }

    /** The queue it came from. */
    public BlockQueue queue() {
        return queue;
    }

    /** Its number within the queue: no other request in flight has it. From 0 to below the queue's depth. */
    public int tag() {
        return tag;
    }

    /** What to do. */
    public Operation operation() {
        return operation;
    }

    /** Where on the device, in bytes. A multiple of the logical block size. */
    public long offset() {
        return offset;
    }

    /** How much, in bytes; a multiple of the logical block size. 0 for FLUSH. More than an int holds for DISCARD. */
    public long length() {
        return length;
    }

    /**
     * The bytes to write, or the room for those read.
     *
     * @throws UnsupportedOperationException if the operation carries none
     */
    public IoBuffer buffer() {
        if (!operation.hasData()) throw new UnsupportedOperationException(this + " carries no data");
        IoBuffer bytes = buffer;
        if (bytes == null) buffer = bytes = queue.bytesOf(tag, (int) length);
        return bytes;
    }

    /**
     * The same bytes, to look at or to fill.
     *
     * @throws UnsupportedOperationException if the operation carries none, or if they do not enter this process
     */
    public MemorySegment data() {
        return switch (buffer()) {
            case IoBuffer.Segment segment -> segment.memory();
            case IoBuffer.Fixed fixed -> throw new UnsupportedOperationException(
                    "the bytes of " + this + " stay in the kernel (zero copy)");
        };
    }

    /** Force unit access: this WRITE must be durable before it is answered. Only on devices that declare FUA. */
    public boolean isFua() {
        return has(ublk_cmd_h.UBLK_IO_F_FUA());
    }

    /** These WRITE_ZEROES must leave the range allocated. */
    public boolean isNoUnmap() {
        return has(ublk_cmd_h.UBLK_IO_F_NOUNMAP());
    }

    /** The application prefers a quick error to a retry. */
    public boolean isFailFast() {
        return has(FAIL_FAST);
    }

    /** A file system's metadata. */
    public boolean isMeta() {
        return has(ublk_cmd_h.UBLK_IO_F_META());
    }

    private boolean has(int flag) {
        return (flags & flag) != 0;
    }

    /** It was done, all of it. */
    public Completion complete() {
        return new Completion(this, operation.hasData() ? (int) length : 0);
    }

    /**
     * The first {@code bytes} of a READ or WRITE were done; see {@link Completion} for what becomes of an uneven count.
     *
     * @throws IllegalStateException if that is more than was asked for
     */
    public Completion complete(int bytes) {
        if (bytes < 0) throw new IllegalStateException(this + " cannot complete with " + bytes + " bytes; see fail(Errno)");
        return new Completion(this, bytes);
    }

    /** It failed; the application sees this errno. */
    public Completion fail(Errno errno) {
        return new Completion(this, errno.result());
    }

    /** It failed; the application sees {@link Errno#of(Throwable)}. */
    public Completion fail(Throwable failure) {
        return fail(Errno.of(failure));
    }

    /** Claims the one answer this request gets. Any thread. */
    boolean answer() {
        return STATE.compareAndSet(this, IN_FLIGHT, ANSWERED);
    }

    /** The queue answers in place of a target that is lost; the target's own answer will come too late. */
    boolean lose() {
        return STATE.compareAndSet(this, IN_FLIGHT, LOST);
    }

    boolean isLost() {
        return state == LOST;
    }

    @Override
    public String toString() {
        return operation + " of " + length + " bytes at " + offset + " (tag " + tag + " of " + queue + ")";
    }
}
