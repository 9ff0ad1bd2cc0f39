package io.reactorublk.uring.memory;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import io.reactorublk.uring.Errno;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.abi.io_uring_h;
import io.reactorublk.uring.abi.linux_h;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * One io_uring: takes entries from the memory of its submission queue, executes them, posts completions. What an operation
 * has to tell after it had to wait goes through task work, which runs when the process next enters the ring
 * ({@code DEFER_TASKRUN}).
 */
final class MemoryRing extends Description {

    private static final VarHandle INT = JAVA_INT.varHandle();

    private final MemoryKernel kernel;
    private final RingLayout layout;
    private final int setupFlags;
    private final long entryBytes;
    private final Completions completions;
    private final FileTable files;
    private final BufferTable buffers;
    private final Map<Integer, ProvidedBuffers> groups = new HashMap<>();
    private final Set<Operation> inFlight = new LinkedHashSet<>();
    private final ArrayDeque<Runnable> taskWork = new ArrayDeque<>();
    private final List<Count> counts = new ArrayList<>();
    private MemorySegment rings = MemorySegment.NULL;
    private MemorySegment entries = MemorySegment.NULL;
    private @Nullable Object owner;
    private boolean enabled;
    private boolean entered;
    private boolean closed;
    private int head;
    private long posted;
    private long timeoutsEnded;

    /** A timeout that ends when so many completions have been posted. */
    private record Count(Timeout timeout, long target) {}

    MemoryRing(MemoryKernel kernel, RingLayout layout, int setupFlags) {
        super(linux_h.O_RDWR());
        this.kernel = kernel;
        this.layout = layout;
        this.setupFlags = setupFlags;
        entryBytes = hasSetup(io_uring_h.IORING_SETUP_SQE128()) ? 2 * Entry.SMALL_BYTES : Entry.SMALL_BYTES;
        completions = new Completions(layout);
        files = new FileTable(kernel.descriptors());
        buffers = new BufferTable(kernel.addresses());
        if (!hasSetup(io_uring_h.IORING_SETUP_R_DISABLED())) enable();
    }

    private boolean hasSetup(int flag) {
        return (setupFlags & flag) != 0;
    }

    /** {@code IORING_REGISTER_ENABLE_RINGS}: the ring belongs to who does this. */
    void enable() {
        if (enabled) throw new KernelException("io_uring_register", Errno.EBADFD);
        enabled = true;
        owner = kernel.task();
    }

    @Override
    MemorySegment map(long offset, long length, Arena arena) {
        boolean forEntries = offset == io_uring_h.IORING_OFF_SQES();
        if (!forEntries && offset != io_uring_h.IORING_OFF_SQ_RING() && offset != io_uring_h.IORING_OFF_CQ_RING()) {
            throw new KernelException("mmap", Errno.EINVAL);
        }
        if (length > (forEntries ? layout.sqEntries() * entryBytes : layout.lengthBytes())) {
            throw new KernelException("mmap", Errno.EINVAL);
        }
        MemorySegment memory = kernel.addresses().map(length, arena);
        if (forEntries) {
            entries = memory;
        } else {
            rings = memory;
            layout.initialize(memory);
            completions.mapped(memory);
        }
        return memory;
    }

    /** What {@code io_uring_enter} does before it waits. Returns how many entries were taken, or a negative errno. */
    int enter(int toSubmit, boolean getEvents) {
        if (!enabled) return Errno.EBADFD.result();
        if (isOthers()) return Errno.EEXIST.result();
        entered = true;
        try {
            int taken = submit(toSubmit);
            if (getEvents) runTaskWork();
            return taken;
        } finally {
            entered = false;
        }
    }

    /** Whether the caller is not the single issuer that was announced. */
    boolean isOthers() {
        return hasSetup(io_uring_h.IORING_SETUP_SINGLE_ISSUER()) && owner != null && owner != kernel.task();
    }

    private int submit(int toSubmit) {
        if (toSubmit == 0 || !rings.scope().isAlive()) return 0;
        int tail = (int) INT.getAcquire(rings, RingLayout.SQ_TAIL);    // acquire: the entries before the tail that covers them
        int taken = Math.min(toSubmit, tail - head);
        Operation first = null;
        Operation last = null;
        for (int i = 0; i < taken; i++) {
            Entry entry = new Entry(entries, entryOffset(), entryBytes);
            INT.setRelease(rings, RingLayout.SQ_HEAD, ++head);         // release: read before it may be overwritten
            Operation operation = Operations.of(this, entry);
            if (kernel.isTraced()) kernel.trace("submit " + entry.userData + ": op " + entry.opcode);
            if (last == null) {
                first = operation;
                last = operation;
            } else if (operation instanceof LinkTimeout limit) {
                last.limitBy(limit);
            } else {
                last.linkTo(operation);
                last = operation;
            }
            if (first != null && !entry.isLinked()) {
                first.start();
                first = null;
                last = null;
            }
        }
        if (first != null) first.start();                              // a chain ends with what was submitted together
        return taken;
    }

    private long entryOffset() {
        int index = head & layout.sqEntries() - 1;
        if (!hasSetup(io_uring_h.IORING_SETUP_NO_SQARRAY())) {
            index = rings.get(JAVA_INT, layout.array() + (long) Integer.BYTES * index) & layout.sqEntries() - 1;
        }
        return index * entryBytes;
    }

    /**
     * A loop does not wait inside its turn, so its enter returns, and it gets its next turn when Linux would let it return. What
     * is there already it would not see before: too little to end its sleep.
     */
    void hideCompletions() {
        completions.hide();
    }

    void showCompletions() {
        completions.show();
    }

    /** What happens inside an enter that waits, each time something may have changed. */
    void proceed() {
        entered = true;
        try {
            runTaskWork();
        } finally {
            entered = false;
        }
    }

    private void runTaskWork() {
        completions.flush();
        for (Runnable work = taskWork.poll(); work != null; work = taskWork.poll()) work.run();
    }

    /** Something to do the next time the process is inside the kernel. Never, if the ring is closed before. */
    void addTaskWork(Runnable work) {
        if (!closed) taskWork.add(work);
    }

    /** Whether being inside the kernel would bring anything that is not there yet. */
    boolean hasTaskWork() {
        return !taskWork.isEmpty() || completions.hasKept();
    }

    int completionEntries() {
        return layout.cqEntries();
    }

    /** How many timeouts have posted their completion. */
    long timeoutsEnded() {
        return timeoutsEnded;
    }

    int available() {
        return completions.available();
    }

    /** Whether the process is inside the kernel with this ring, so that completions may be posted. */
    boolean isEntered() {
        return entered;
    }

    boolean isClosed() {
        return closed;
    }

    /** Posts the last completion of an operation. */
    void post(Operation operation, int result, int flags) {
        traceCompletion(operation, result, flags);
        completions.post(operation.entry.userData, result, flags);
        if (operation instanceof Timeout) {
            timeoutsEnded++;
        } else {
            count();
        }
    }

    /** Posts a completion of an operation that goes on. Returns false if there is no room, which ends the operation. */
    boolean postMore(Operation operation, int result, int flags) {
        int more = flags | io_uring_h.IORING_CQE_F_MORE();
        if (!completions.postUnlessFull(operation.entry.userData, result, more)) return false;
        traceCompletion(operation, result, more);
        count();
        return true;
    }

    private void traceCompletion(Operation operation, int result, int flags) {
        if (kernel.isTraced()) kernel.trace("complete " + operation.entry.userData + ": " + result + " flags " + flags);
    }

    private void count() {
        posted++;
        if (counts.isEmpty()) return;
        counts.removeIf(count -> {
            if (posted < count.target) return false;
            addTaskWork(count.timeout::reached);
            return true;
        });
    }

    void afterCompletions(long number, Timeout timeout) {
        counts.add(new Count(timeout, posted + number));
    }

    MemoryKernel kernel() {
        return kernel;
    }

    /** Operations that have begun and not ended. */
    Set<Operation> inFlight() {
        return inFlight;
    }

    /** The file that an entry names. */
    Description file(Entry entry) {
        return entry.has(io_uring_h.IOSQE_FIXED_FILE()) ? files.get(entry.fd) : kernel.descriptors().get(entry.fd);
    }

    FileTable files() {
        return files;
    }

    BufferTable buffers() {
        return buffers;
    }

    Map<Integer, ProvidedBuffers> groups() {
        return groups;
    }

    /**
     * A group of lent memory.
     *
     * @throws KernelException ENOBUFS, if there is no such group
     */
    ProvidedBuffers group(int number) {
        ProvidedBuffers group = groups.get(number);
        if (group == null) throw new KernelException("buffer group " + number, Errno.ENOBUFS);
        return group;
    }

    /** The last descriptor of the ring is closed: everything in flight is given up. */
    @Override
    void released() {
        closed = true;
        for (Operation operation : List.copyOf(inFlight)) operation.abandon();
        taskWork.clear();
        files.clear();
        buffers.clear();
        groups.clear();
    }

    @Override
    int mode() {
        return 0600;
    }
}
