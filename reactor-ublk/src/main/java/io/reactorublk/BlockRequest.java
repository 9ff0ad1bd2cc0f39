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
import reactor.util.Logger;
import reactor.util.Loggers;

/**
 * One I/O that the kernel asks for. Valid from {@code onNext} until its completion is emitted; after that neither it nor
 * its bytes may be touched, because its tag and its memory belong to the next request.
 *
 * <p>An entity: two requests with equal fields are two requests. Its accessors may be used from any thread.
 */
public final class BlockRequest {

    /** 512, the unit of the block layer, whatever the device's block size. */
    static final int SECTOR_BYTES = 512;

    /** In place of an address: not among a request's bytes, but on the way there. */
    static final long ELSEWHERE = Long.MIN_VALUE;

    private static final Logger LOG = Loggers.getLogger(BlockRequest.class);
    private static final int OPERATION_MASK = 0xff;
    private static final int FAIL_FAST = ublk_cmd_h.UBLK_IO_F_FAILFAST_DEV()
            | ublk_cmd_h.UBLK_IO_F_FAILFAST_TRANSPORT() | ublk_cmd_h.UBLK_IO_F_FAILFAST_DRIVER();

    /** The target's share of {@link #users}; an operation's is 1. */
    private static final int TARGET = 1 << 30;

    private static final VarHandle ANSWER;
    private static final VarHandle USERS;
    private static final VarHandle FILLED;
    private static final VarHandle HANDED_OUT;

    static {
        try {
            ANSWER = MethodHandles.lookup().findVarHandle(BlockRequest.class, "answer", Completion.class);
            USERS = MethodHandles.lookup().findVarHandle(BlockRequest.class, "users", int.class);
            FILLED = MethodHandles.lookup().findVarHandle(BlockRequest.class, "filled", int.class);
            HANDED_OUT = MethodHandles.lookup().findVarHandle(BlockRequest.class, "handedOut", boolean.class);
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
    private volatile @Nullable IoBuffer buffer;
    /** Of a READ: whether its target was given memory to fill, of which nobody can tell how far it did. */
    private volatile boolean handedOut;
    /** Of a READ: how far it is filled, from its start and without a gap. */
    private volatile int filled;
    /** What was filled beyond a gap; null while all comes in order. */
    private volatile @Nullable LooseParts loose;
    /** Whether anything was done with its bytes, or may have been. Written by who uses them, read when nobody does any more. */
    private boolean touched;
    /** Whether an operation on its bytes has failed that its answer had not waited for. */
    private volatile boolean spoiled;
    /** What it is answered with, once it is; {@link #isLost} if the queue did so in place of its target. */
    private volatile @Nullable Completion answer;
    /** What its queue wants to answer in its target's place. */
    private @Nullable Completion inItsPlace;
    /** Whether the last who used its bytes was an operation, and not the target by its answer. */
    private volatile boolean premature;
    /** Who uses its bytes: its target until the answer, and each operation on its buffer until that has ended. */
    private volatile int users = TARGET;

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
     * The bytes to write, or the room for those read. Room in this process is zeroes at first.
     *
     * @throws UnsupportedOperationException if the operation carries none
     */
    public IoBuffer buffer() {
        requireData();
        IoBuffer bytes = buffer;
        return bytes != null ? bytes : handOut();
    }

    private IoBuffer handOut() {
        IoBuffer bytes = queue.data(this).buffer(this, null, false);
        if (operation != Operation.READ || !(bytes instanceof IoBuffer.Segment segment)) {
            touched = true;
        } else if (HANDED_OUT.compareAndSet(this, false, true)) {
            try {
                if (!touched && isInFlight()) segment.memory().fill((byte) 0);   // what is there is another request's, and will be
            } finally {
                buffer = bytes;
            }
            return bytes;
        } else {
            while (buffer == null) Thread.onSpinWait();                // another thread came a moment earlier, and clears it
        }
        buffer = bytes;
        return bytes;
    }

    void requireData() {
        if (!operation.hasData()) throw new UnsupportedOperationException(this + " carries no data");
    }

    /**
     * The same bytes for operations on another loop than the queue's: pages registered with one ring are not known to others.
     *
     * @throws UnsupportedOperationException as {@link #buffer()}
     */
    public IoBuffer buffer(EventLoop loop) {
        if (isShared() || isVisible()) return buffer();
        requireData();
        touched = true;
        return queue.data(this).buffer(this, loop, false);
    }

    /** Where its bytes are, if that is known at its delivery only. On the loop, before anybody has this. */
    void keep(IoBuffer bytes) {
        buffer = bytes;
    }

    @Nullable IoBuffer kept() {
        return buffer;
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
        return queue.data(this).look(this, from, into, false);
    }

    /**
     * Copies memory of the caller's into this READ, whatever the {@link DataMode}. A READ must be filled, or its pages read
     * into, as far as it is completed: else it is answered with EIO, for its pages still hold what was in them before. One whose
     * bytes were not touched at all is answered with zeroes.
     *
     * <p>Signals as {@link #look}, and fails as it does.
     *
     * @param at where in the request to start, in bytes
     * @param bytes off-heap
     */
    public Mono<Void> fill(int at, MemorySegment bytes) {
        return queue.data(this).fill(this, at, bytes, false);
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

    boolean isLost() {
        Completion given = answer;
        return given != null && given == inItsPlace;
    }

    /** One more uses its bytes. Any thread. */
    void use() {
        touched = true;
        int before;
        do {
            before = users;
            if (answer != null) throw gone();
        } while (!USERS.compareAndSet(this, before, before + 1));
    }

    /** A step of what {@linkplain #use uses} its bytes: also after its answer, which waits for that. Any thread. */
    private void useFurther() {
        int before;
        do {
            before = users;
            if (before == 0 || isLost()) throw gone();
        } while (!USERS.compareAndSet(this, before, before + 1));
    }

    private IllegalStateException gone() {
        return new IllegalStateException(this + " has been answered; its bytes are gone");
    }

    /**
     * One less uses its bytes; the last one has the answer committed. Any thread.
     *
     * @param failed whether not all was done that an answer of success promises, unless the target has yet to hear of it
     */
    void endUse(boolean failed) {
        int before;
        do {
            before = users;
            if (failed && before < TARGET) spoiled = true;
        } while (!USERS.compareAndSet(this, before, before - 1));
        if (before != 1) return;
        premature = true;
        queue.answered(this);
    }

    /** How many uses of its bytes are under way although it is answered. Any thread. */
    int usesAfterItsAnswer() {
        return answer == null ? 0 : users & (TARGET - 1);
    }

    /** The target has no share in its bytes any more. Who is told that nobody has commits the answer, which is there. Any thread. */
    boolean release() {
        return (int) USERS.getAndAdd(this, -TARGET) == TARGET;
    }

    /** Bytes of this READ are there now. By who uses them. */
    private void filled(int from, int end) {
        int before;
        do {
            before = filled;
            if (from > before) {
                loose().add(from, end);
                return;
            }
        } while (end > before && !FILLED.compareAndSet(this, before, end));
    }

    private synchronized LooseParts loose() {                          // rare
        LooseParts parts = loose;
        if (parts == null) loose = parts = new LooseParts();
        return parts;
    }

    /** Whether so many are. When nobody uses them any more. */
    private boolean isFilled(int length) {
        int end = filled;
        LooseParts parts = loose;
        return end >= length || (parts != null && parts.reach(end) >= length);
    }

    /** Its bytes, or other bytes on their way there, as those know them who operate on them: the answer waits for them. */
    private final class Bytes implements IoBuffer.Owner {

        private final long start;
        private final boolean step;

        Bytes(long start, boolean step) {
            this.start = start;
            this.step = step;
        }

        @Override
        public void begin() {
            if (step) {
                useFurther();
            } else {
                use();
            }
        }

        @Override
        public void end(IoBuffer part, int result, boolean cancelled) {
            if (result > 0 && operation == Operation.READ && start != ELSEWHERE) {
                int from = (int) (part.address() - start);
                filled(from, from + result);
            }
            endUse(!step && !cancelled && result != part.length());
        }
    }

    /**
     * Who is told of operations on its bytes.
     *
     * @param start where they start, as {@link IoBuffer#address} counts
     * @param step whether only as steps of {@link OneUse}
     */
    IoBuffer.Owner owner(long start, boolean step) {
        return new Bytes(start, step);
    }

    /**
     * What its queue is to commit, when nobody uses its bytes any more: its answer, unless that is not true. On the loop.
     *
     * @param nobodyLeft whether nobody can have seen how its last operation ended
     */
    int result(boolean nobodyLeft) {
        int result = Objects.requireNonNull(answer).result();
        if (result < 0) return result;
        boolean unseen = premature && nobodyLeft;
        if (!unseen && !spoiled && !isFalse(result)) return result;
        if (!unseen) {
            LOG.warn("{} is answered with EIO: it was completed with {} bytes, {}", this, result,
                    spoiled ? "and what was to do that failed later" : "and not so many were filled");
        }
        return Errno.EIO.result();
    }

    private boolean isFalse(int result) {
        return operation == Operation.READ && touched && !handedOut && !isShared() && !isFilled(result);
    }

    /** Whether nothing at all was done with the bytes of this READ, so that what was in its pages is still there. */
    boolean isUntouched() {
        return !touched && !handedOut;
    }

    @Override
    public String toString() {
        return operation + " of " + length + " bytes at " + offset + " (tag " + tag + " of " + queue + ")";
    }
}
