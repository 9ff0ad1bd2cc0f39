package io.reactorublk;

import io.reactorublk.abi.ublk_cmd_h;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.EventLoop;
import io.reactorublk.uring.IoBuffer;
import io.reactorublk.uring.UringFile;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;

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

    private static final VarHandle ANSWER;
    private static final VarHandle USERS;

    static {
        try {
            ANSWER = MethodHandles.lookup().findVarHandle(BlockRequest.class, "answer", Completion.class);
            USERS = MethodHandles.lookup().findVarHandle(BlockRequest.class, "users", int.class);
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
    /** What it is answered with, once it is; {@link #isLost} if the queue did so in place of its target. */
    private volatile @Nullable Completion answer;
    /** What its queue wants to answer in its target's place. */
    private @Nullable Completion inItsPlace;
    /** Whether the last who used its bytes was an operation, and not the target by its answer. */
    private volatile boolean premature;
    /** Who uses its bytes: its target until the answer, and each operation on its buffer until that has ended. */
    private volatile int users = 1;

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
        if (bytes == null) buffer = bytes = queue.data(this).buffer(this, null);
        return bytes;
    }

    /**
     * The same bytes for operations on another loop than the queue's: pages registered with one ring are not known to others.
     *
     * @throws UnsupportedOperationException as {@link #buffer()}
     */
    public IoBuffer buffer(EventLoop loop) {
        if (!operation.hasData() || isShared()) return buffer();
        return queue.data(this).buffer(this, loop);
    }

    /** Where its bytes are, if that is known at its delivery only. On the loop, before anybody has this. */
    void keep(IoBuffer bytes) {
        buffer = bytes;
    }

    /** Whether its bytes are in this process, so that {@link #data} can be used: a matter of the {@link DataMode}. */
    public boolean isVisible() {
        return queue.data(this).areVisible();
    }

    /**
     * Copies bytes of this WRITE into memory of the caller's, whatever the {@link DataMode}: to look at some of what otherwise
     * never enters this process, or at all of it as late as possible.
     *
     * <p>Signals on the queue's loop, or at once where the bytes are here already. The memory belongs to the copy until it
     * completes.
     *
     * @param from where in the request to start, in bytes
     * @param into off-heap; as many bytes are copied as it has
     * @return fails with {@link UnsupportedOperationException} if this is no WRITE: the driver lets nobody look at a READ, not
     *     even at what he filled it with; with {@link IndexOutOfBoundsException} beyond its length; with
     *     {@link IllegalStateException} after its answer; with {@link io.reactorublk.uring.KernelException} if the kernel refuses
     */
    public Mono<Void> look(int from, MemorySegment into) {
        return queue.data(this).look(this, from, into);
    }

    /**
     * Copies memory of the caller's into this READ, whatever the {@link DataMode}. A READ must be filled, or its pages read
     * into, as far as it is completed: pages nobody wrote to show the application what was in them before.
     *
     * <p>Signals as {@link #look}, and fails as it does.
     *
     * @param at where in the request to start, in bytes
     * @param bytes off-heap
     */
    public Mono<Void> fill(int at, MemorySegment bytes) {
        return queue.data(this).fill(this, at, bytes);
    }

    /**
     * Does all of a READ or WRITE by one operation on a file, at {@code fileOffset}: {@link #transfer(UringFile, long, int, int)}
     * of the whole, and its completion.
     */
    public Mono<Completion> transfer(UringFile file, long fileOffset) {
        return transfer(file, fileOffset, 0, (int) length).thenReturn(complete());
    }

    /**
     * Writes a part of this WRITE's bytes to a file, or reads into a part of this READ's, whatever the {@link DataMode}. Short
     * transfers are continued; the end of the file is EIO. A {@linkplain #isFua() FUA} write is durable when it completes.
     *
     * <p>If it is cancelled, an operation on its way is ended early where the kernel can; the request is committed only when it
     * has ended.
     *
     * @param file on any loop
     * @param fileOffset where in the file, in bytes
     * @param from where in this request, in bytes
     * @param length in bytes
     * @return completes empty when all was transferred
     */
    public Mono<Void> transfer(UringFile file, long fileOffset, int from, int length) {
        return Transfer.of(this, file, fileOffset, from, length);
    }

    /**
     * One request, done by several operations at once: completes when the last of them has ended, with the first error if
     * there was one. The others are waited for all the same, since this request's bytes are in use until then.
     *
     * {@snippet file="io/reactorublk/Snippets.java" region="fused"}
     *
     * <p>The operations of all requests of a turn reach the kernel in that turn's one system call.
     *
     * @param secondaries what to do with its bytes, usually {@link #transfer(UringFile, long, int, int)}; subscribed at once
     */
    public Mono<Completion> fuse(List<? extends Mono<?>> secondaries) {
        return Transfer.fuse(this, secondaries);
    }

    /** Its bytes are in memory that the application shares with us. */
    boolean isShared() {
        return isShared(flags);
    }

    static boolean isShared(int operationAndFlags) {
        return (operationAndFlags & ublk_cmd_h.UBLK_IO_F_SHMEM_ZC()) != 0;
    }

    /** Its pages are not in the table of buffers, though the driver should have put them there. */
    boolean needsRegistration() {
        return has(ublk_cmd_h.UBLK_IO_F_NEED_REG_BUF());
    }

    /**
     * The same bytes, to look at or to fill.
     *
     * @throws UnsupportedOperationException if the operation carries none, or if they do not enter this process
     */
    public MemorySegment data() {
        return switch (buffer()) {
            case IoBuffer.Segment segment -> segment.memory();
            case IoBuffer.Fixed fixed -> throw stayInKernel();
            case IoBuffer.Pages pages -> throw stayInKernel();
        };
    }

    private UnsupportedOperationException stayInKernel() {
        return new UnsupportedOperationException(
                "the bytes of " + this + " stay in the kernel (zero copy); use buffer(), look() or fill()");
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

    /** Claims the one answer this request gets. It may be committed when nobody {@linkplain #release uses} it. Any thread. */
    boolean answer(Completion completion) {
        return ANSWER.compareAndSet(this, null, completion);
    }

    /** The queue answers in place of a target that is lost; the target's own answer will come too late. On the loop. */
    boolean lose() {
        Completion instead = fail(Errno.EIO);
        inItsPlace = instead;                                          // first, or who is late finds an answer that seems another's
        return answer(instead);
    }

    boolean isInFlight() {
        return answer == null;
    }

    /** Whether it was answered before its last operation had ended; known when it has. */
    boolean isPremature() {
        return premature;
    }

    boolean isLost() {
        Completion given = answer;
        return given != null && given == inItsPlace;
    }

    /** One more uses its bytes. Any thread. */
    void use() {
        int before;
        do {
            before = users;
            if (before == 0 || answer != null) throw new IllegalStateException(this + " has been answered; its bytes are gone");
        } while (!USERS.compareAndSet(this, before, before + 1));
    }

    /** How many operations on its bytes are under way although it is answered. Any thread. */
    int operationsAfterItsAnswer() {
        if (answer == null) return 0;
        return isLost() ? users - 1 : users;                               // a lost target never gave back its own share
    }

    /** One less uses its bytes. Whoever is told that he was the last commits the answer, which is there. Any thread. */
    boolean release() {
        return (int) USERS.getAndAdd(this, -1) == 1;
    }

    /** Its bytes, as those know them who operate on them: the answer waits for them. */
    private final class Bytes implements IoBuffer.Owner {

        @Override
        public void begin() {
            use();
        }

        @Override
        public void end() {
            if (!release()) return;
            premature = true;
            queue.answered(BlockRequest.this);
        }
    }

    IoBuffer.Owner bytes() {
        return new Bytes();
    }

    Completion answered() {
        return Objects.requireNonNull(answer);
    }

    @Override
    public String toString() {
        return operation + " of " + length + " bytes at " + offset + " (tag " + tag + " of " + queue + ")";
    }
}
