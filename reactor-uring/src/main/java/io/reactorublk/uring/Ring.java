package io.reactorublk.uring;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.reactorublk.uring.abi.__kernel_timespec;
import io.reactorublk.uring.abi.io_cqring_offsets;
import io.reactorublk.uring.abi.io_sqring_offsets;
import io.reactorublk.uring.abi.io_uring_cqe;
import io.reactorublk.uring.abi.io_uring_getevents_arg;
import io.reactorublk.uring.abi.io_uring_h;
import io.reactorublk.uring.abi.io_uring_params;
import io.reactorublk.uring.abi.io_uring_probe;
import io.reactorublk.uring.abi.io_uring_probe_op;
import io.reactorublk.uring.abi.io_uring_rsrc_register;
import io.reactorublk.uring.abi.io_uring_rsrc_update2;
import io.reactorublk.uring.abi.io_uring_sqe;
import io.reactorublk.uring.abi.linux_h;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.BitSet;
import java.util.Objects;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * One io_uring: stage entries, enter the kernel once, reap what completed.
 *
 * <p>Set up with {@code SINGLE_ISSUER | DEFER_TASKRUN | NO_SQARRAY | SUBMIT_ALL} as far as the kernel has them, and
 * disabled: the thread that calls {@link #enable} owns it from then on, and nothing completes except inside its
 * {@link #enter}. All methods but {@link #open} and {@link #enable} are for that thread. Mirrors {@code io_uring(7)}.
 */
public final class Ring implements AutoCloseable {

    /** Waits for no time limit. */
    public static final long FOREVER = Long.MAX_VALUE;

    private static final int WANTED = io_uring_h.IORING_SETUP_R_DISABLED() | io_uring_h.IORING_SETUP_SUBMIT_ALL()
            | io_uring_h.IORING_SETUP_CQSIZE();
    private static final int OWNED = io_uring_h.IORING_SETUP_SINGLE_ISSUER() | io_uring_h.IORING_SETUP_DEFER_TASKRUN();
    /** Best first; a kernel that does not know a flag answers EINVAL. */
    private static final int[] SETUPS = {OWNED | io_uring_h.IORING_SETUP_NO_SQARRAY(), OWNED, 0};
    private static final int NEEDED_FEATURES = io_uring_h.IORING_FEAT_SINGLE_MMAP() | io_uring_h.IORING_FEAT_NODROP()
            | io_uring_h.IORING_FEAT_EXT_ARG();

    private static final int GETEVENTS = io_uring_h.IORING_ENTER_GETEVENTS();
    private static final int EXT_ARG = io_uring_h.IORING_ENTER_EXT_ARG();
    private static final int SMALL_ENTRY_BYTES = (int) io_uring_sqe.layout().byteSize();
    private static final int PROBED_OPS = 256;
    private static final long NANOS_PER_SECOND = 1_000_000_000L;
    private static final int SPARE_BUFFERS = 1024;

    private final Kernel kernel;
    private final Arena arena = Arena.ofShared();
    private final int fd;
    private final int features;
    private final int setupFlags;
    private final SubmissionQueue submissions;
    private final CompletionQueue completions;
    private final HandlerTable handlers;
    private final Sqe sqe;
    private final MemorySegment waitArgument;
    private final MemorySegment timespec;
    private final BitSet supportedOps;
    private final Room room;
    private @Nullable SpareBuffers spareBuffers;
    private long enters;
    private int completingInline;
    /** Whether everything was cancelled: what still ends may be the last that does, so that none of it is waited for in vain. */
    private boolean ending;
    private boolean closed;

    /**
     * A ring of this kernel, disabled.
     *
     * @throws KernelException if the kernel refuses; nothing is left behind
     */
    public static Ring open(Kernel kernel, RingConfig config) {
        return open(kernel, config, e -> {});
    }

    /** The same, of whose handlers somebody hears what they throw. */
    static Ring open(Kernel kernel, RingConfig config, Consumer<Throwable> whenHandlerFails) {
        return new Ring(kernel, config, whenHandlerFails);
    }

    private Ring(Kernel kernel, RingConfig config, Consumer<Throwable> whenHandlerFails) {
        this.kernel = kernel;
        room = new Room(config.fileOperations());
        MemorySegment params = kernel.allocate(io_uring_params.layout().byteSize(), arena);
        try {
            fd = setup(params, config);
        } catch (RuntimeException e) {
            arena.close();
            throw e;
        }
        try {
            features = io_uring_params.features(params);
            if ((features & NEEDED_FEATURES) != NEEDED_FEATURES) {
                throw new UnsupportedOperationException("io_uring of this kernel is too old (features 0x"
                        + Integer.toHexString(features) + "); Linux 5.11 or later is needed");
            }
            setupFlags = io_uring_params.flags(params);
            int entryBytes = config.largeEntries() ? 2 * SMALL_ENTRY_BYTES : SMALL_ENTRY_BYTES;
            MemorySegment rings = map(ringBytes(params), io_uring_h.IORING_OFF_SQ_RING());
            MemorySegment entries =
                    map((long) io_uring_params.sq_entries(params) * entryBytes, io_uring_h.IORING_OFF_SQES());
            submissions = new SubmissionQueue(rings, entries, params, entryBytes);
            if ((setupFlags & io_uring_h.IORING_SETUP_NO_SQARRAY()) == 0) submissions.identityArray(params);
            completions = new CompletionQueue(rings, params, whenHandlerFails);
            handlers = new HandlerTable(submissions.capacity());
            sqe = new Sqe(entries);
            timespec = kernel.allocate(__kernel_timespec.layout().byteSize(), arena);
            waitArgument = kernel.allocate(io_uring_getevents_arg.layout().byteSize(), arena)
                    .asSlice(0, io_uring_getevents_arg.layout());
            io_uring_getevents_arg.ts(waitArgument, timespec.address());
            supportedOps = probe();
        } catch (RuntimeException e) {
            arena.close();
            kernel.close(fd);
            throw e;
        }
    }

    private int setup(MemorySegment params, RingConfig config) {
        int wanted = WANTED | (config.largeEntries() ? io_uring_h.IORING_SETUP_SQE128() : 0);
        for (int i = 0; ; i++) {
            params.fill((byte) 0);
            io_uring_params.flags(params, wanted | SETUPS[i]);
            io_uring_params.cq_entries(params, config.completionEntries());
            try {
                return kernel.ioUringSetup(config.submissionEntries(), params);
            } catch (KernelException e) {
                if (e.errno() != Errno.EINVAL || i == SETUPS.length - 1) throw e;
            }
        }
    }

    /** Both queues share one mapping (FEAT_SINGLE_MMAP): as long as the longer of them. */
    private static long ringBytes(MemorySegment params) {
        MemorySegment sq = io_uring_params.sq_off(params);
        MemorySegment cq = io_uring_params.cq_off(params);
        long sqBytes = Integer.toUnsignedLong(io_sqring_offsets.array(sq)) + 4L * io_uring_params.sq_entries(params);
        long cqBytes = Integer.toUnsignedLong(io_cqring_offsets.cqes(cq))
                + io_uring_cqe.layout().byteSize() * io_uring_params.cq_entries(params);
        return Math.max(sqBytes, cqBytes);
    }

    private MemorySegment map(long length, long offset) {
        return kernel.mmap(fd, offset, length, linux_h.PROT_READ() | linux_h.PROT_WRITE(),
                linux_h.MAP_SHARED() | linux_h.MAP_POPULATE(), arena);
    }

    private BitSet probe() {
        try (Arena temporary = Arena.ofShared()) {
            MemorySegment probe = kernel.allocate(io_uring_probe.layout().byteSize()
                    + PROBED_OPS * io_uring_probe_op.layout().byteSize(), temporary);
            kernel.ioUringRegister(fd, io_uring_h.IORING_REGISTER_PROBE(), probe, PROBED_OPS);
            BitSet ops = new BitSet(PROBED_OPS);
            int known = Byte.toUnsignedInt(io_uring_probe.ops_len(probe));
            for (int i = 0; i < known; i++) {
                MemorySegment op = probe.asSlice(io_uring_probe.layout().byteSize()
                        + i * io_uring_probe_op.layout().byteSize(), io_uring_probe_op.layout());
                if ((io_uring_probe_op.flags(op) & io_uring_h.IO_URING_OP_SUPPORTED()) != 0) {
                    ops.set(Byte.toUnsignedInt(io_uring_probe_op.op(op)));
                }
            }
            return ops;
        }
    }

    /** Whether the kernel knows an operation, {@code IORING_OP_*}. */
    public boolean supports(int opcode) {
        return supportedOps.get(opcode);
    }

    /** {@code IORING_FEAT_*} of this kernel. */
    public int features() {
        return features;
    }

    /** {@code IORING_SETUP_*} that the kernel granted. */
    public int setupFlags() {
        return setupFlags;
    }

    /** Makes the calling thread the ring's owner. Once, before anything is submitted. */
    public void enable() {
        kernel.ioUringRegister(fd, io_uring_h.IORING_REGISTER_ENABLE_RINGS(), MemorySegment.NULL, 0);
    }

    /**
     * Stages one entry, to leave with the next {@link #enter}. If the queue is full, what is staged leaves now.
     *
     * @param handler told of each completion, on this thread
     * @return the entry, to be written at once
     */
    public Sqe stage(CompletionHandler handler) {
        reserve(1);
        return sqe.at(submissions.next(handlers.add(handler)));
    }

    /**
     * Makes room for a chain: linked entries must leave together.
     *
     * @throws IllegalArgumentException if the queue is shorter than that
     */
    public void reserve(int entries) {
        if (submissions.hasRoom(entries)) return;
        if (entries > submissions.capacity()) {
            throw new IllegalArgumentException("a chain of " + entries + " entries; the submission queue has "
                    + submissions.capacity());
        }
        // Submits without reaping: a handler must not find itself inside the handler that staged this.
        KernelException.check("io_uring_enter", enterKernel(0, 0, MemorySegment.NULL));
        if (!submissions.hasRoom(entries)) {
            throw new KernelException("io_uring_enter", Errno.EBUSY, "The kernel takes no more entries");
        }
    }

    /**
     * Says that the entry just staged completes while it is submitted. A wait then waits for one completion more, or it
     * would end at once with a completion that brings no work, and a turn would cost two system calls.
     */
    public void expectInline() {
        completingInline++;
    }

    /**
     * Says that the operation with this {@link Sqe#id} cannot be cancelled and ends only with the ring, as a ublk fetch
     * does: a loop that closes does not wait for it.
     */
    public void park(long id) {
        handlers.park(id);
    }

    /** Asks the kernel to cancel the operation with this {@link Sqe#id}. Its handler hears {@code ECANCELED}, or what came first. */
    public void cancel(long id) {
        stage(CompletionHandler.IGNORE).cancel(id, 0);
    }

    /** Asks the kernel to cancel whatever it can, as who closes the ring does: from now on each completion ends a wait. */
    public void cancelAll() {
        ending = true;
        stage(CompletionHandler.IGNORE)
                .cancel(0, io_uring_h.IORING_ASYNC_CANCEL_ANY() | io_uring_h.IORING_ASYNC_CANCEL_ALL());
    }

    /**
     * The one system call of a turn: hands over what is staged, and waits.
     *
     * @param wait whether to wait for a completion
     * @param timeoutNanos for at most how long, or {@link #FOREVER}
     */
    public void enter(boolean wait, long timeoutNanos) {
        int minComplete = !wait ? 0 : ending ? 1 : 1 + completingInline;
        completingInline = 0;
        int result;
        if (wait && timeoutNanos != FOREVER) {
            timespec.set(JAVA_LONG, 0, timeoutNanos / NANOS_PER_SECOND);
            timespec.set(JAVA_LONG, Long.BYTES, timeoutNanos % NANOS_PER_SECOND);
            result = enterKernel(minComplete, GETEVENTS | EXT_ARG, waitArgument);
        } else {
            result = enterKernel(minComplete, GETEVENTS, MemorySegment.NULL);
        }
        if (result >= 0) return;
        switch (Errno.of(result)) {
            case EINTR, ETIME -> { }                                   // the wait ended early: the turn goes on
            case EAGAIN, EBUSY -> { }                                  // short of memory or completion entries: reap, go on
            default -> throw new KernelException("io_uring_enter", Errno.of(result));
        }
    }

    private int enterKernel(int minComplete, int flags, MemorySegment argument) {
        enters++;
        int result = kernel.ioUringEnter(fd, submissions.publish(), minComplete, flags, argument);
        if (result > 0) submissions.taken(result);
        return result;
    }

    /** Whether there is something to reap. */
    boolean hasCompletions() {
        return !completions.isEmpty();
    }

    /** Tells each handler what has completed. Returns how many completions there were. */
    public int reap() {
        return completions.reap(handlers);
    }

    /** Operations staged or in the kernel. */
    public int inFlight() {
        return handlers.inFlight();
    }

    /** Those of them that must end before the ring can be closed: all that were not {@linkplain #park parked}. */
    int awaited() {
        return handlers.awaited();
    }

    /** How often the kernel was entered: with completions reaped, the measure of batching. */
    public long enters() {
        return enters;
    }

    /** Completions that were lost because the completion queue was full: 0 on kernels that keep them. */
    public int overflow() {
        return completions.overflow();
    }

    /**
     * How many of the kernel's workers may wait at a time for what the thread of this ring has asked for;
     * {@code IORING_REGISTER_IOWQ_MAX_WORKERS}. By default four for each CPU, so that as many operations that hang would keep
     * the next one from being begun.
     */
    public void maxWorkers(int count) {
        try (Arena temporary = Arena.ofShared()) {
            MemorySegment limits = kernel.allocate(2 * Integer.BYTES, temporary);
            limits.set(JAVA_INT, 0, count);                            // bounded; of the others 0 changes nothing
            register(io_uring_h.IORING_REGISTER_IOWQ_MAX_WORKERS(), limits, 2);
        }
    }

    /** Registers a table of {@code count} files, all empty. {@code IORING_REGISTER_FILES2}, sparse. */
    public void registerFiles(int count) {
        registerSparse(io_uring_h.IORING_REGISTER_FILES2(), count);
    }

    /** Puts a file into its table, or takes it out: {@code fd} -1. The table keeps the file open. */
    public void updateFile(int index, int fd) {
        try (Arena temporary = Arena.ofShared()) {
            MemorySegment data = kernel.allocate(Integer.BYTES, temporary);
            data.set(JAVA_INT, 0, fd);
            update(io_uring_h.IORING_REGISTER_FILES_UPDATE2(), index, data, temporary);
        }
    }

    /** Registers a table of {@code count} buffers, all empty. {@code IORING_REGISTER_BUFFERS2}, sparse. */
    public void registerBuffers(int count) {
        registerBuffers(count, 0);
    }

    /**
     * Registers a table of empty buffers: the first {@code named} are for {@link #updateBuffer} and for drivers, the
     * {@code spare} ones behind them for operations on {@link IoBuffer.Pages}, one each while it is under way; those that
     * find none free wait for one. A ring without a table gets one of {@value #SPARE_BUFFERS} spare ones with the first such
     * operation. At most 16384 together.
     */
    public void registerBuffers(int named, int spare) {
        registerSparse(io_uring_h.IORING_REGISTER_BUFFERS2(), named + spare);
        spareBuffers = new SpareBuffers(named, spare);
    }

    /** For file operations. */
    Room room() {
        return room;
    }

    /** Takes a place in the table for one operation, or returns -1 and runs the waiter once there is one. */
    int takeBuffer(Runnable waiter) {
        if (spareBuffers == null) registerBuffers(0, SPARE_BUFFERS);
        return Objects.requireNonNull(spareBuffers).take(waiter);
    }

    /** Gives the place back, empty. */
    void giveBuffer(int index) {
        Objects.requireNonNull(spareBuffers).give(index);
    }

    /**
     * Puts memory into the table of buffers, in the place of what was there.
     *
     * @param memory must live until it is removed or replaced
     * @return the buffer that operations may name
     */
    public IoBuffer.Fixed updateBuffer(int index, MemorySegment memory) {
        putBuffer(index, memory);
        return new IoBuffer.Fixed(this, index, memory.address(), (int) memory.byteSize());
    }

    /** Takes a buffer out of its table. */
    public void removeBuffer(int index) {
        putBuffer(index, MemorySegment.NULL);
    }

    private void putBuffer(int index, MemorySegment memory) {
        try (Arena temporary = Arena.ofShared()) {
            MemorySegment iovec = kernel.allocate(2 * Long.BYTES, temporary);
            iovec.set(JAVA_LONG, 0, memory.address());
            iovec.set(JAVA_LONG, Long.BYTES, memory.byteSize());
            update(io_uring_h.IORING_REGISTER_BUFFERS_UPDATE(), index, iovec, temporary);
        }
    }

    private void registerSparse(int opcode, int count) {
        try (Arena temporary = Arena.ofShared()) {
            MemorySegment request = kernel.allocate(io_uring_rsrc_register.layout().byteSize(), temporary);
            io_uring_rsrc_register.nr(request, count);
            io_uring_rsrc_register.flags(request, io_uring_h.IORING_RSRC_REGISTER_SPARSE());
            register(opcode, request, (int) io_uring_rsrc_register.layout().byteSize());
        }
    }

    private void update(int opcode, int index, MemorySegment data, Arena temporary) {
        MemorySegment request = kernel.allocate(io_uring_rsrc_update2.layout().byteSize(), temporary);
        io_uring_rsrc_update2.offset(request, index);
        io_uring_rsrc_update2.data(request, data.address());
        io_uring_rsrc_update2.nr(request, 1);
        register(opcode, request, (int) io_uring_rsrc_update2.layout().byteSize());
    }

    /** {@code io_uring_register(2)} on this ring, for what has no method of its own. */
    int register(int opcode, MemorySegment argument, int count) {
        return kernel.ioUringRegister(fd, opcode, argument, count);
    }

    Kernel kernel() {
        return kernel;
    }

    boolean isClosed() {
        return closed;
    }

    /** Closes the ring. What is in flight ends in the kernel's own time: memory lent to it must outlive that. */
    @Override
    public void close() {
        if (closed) return;
        closed = true;
        arena.close();
        kernel.close(fd);
    }
}
