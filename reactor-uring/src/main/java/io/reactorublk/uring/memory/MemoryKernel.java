package io.reactorublk.uring.memory;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.reactorublk.uring.Errno;
import io.reactorublk.uring.EventLoop;
import io.reactorublk.uring.Kernel;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.abi.io_uring_getevents_arg;
import io.reactorublk.uring.abi.io_uring_h;
import io.reactorublk.uring.abi.io_uring_params;
import io.reactorublk.uring.abi.linux_h;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.BitSet;
import java.util.List;
import java.util.Random;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A kernel in memory: rings, files, pipes, clocks and the devices that are plugged in, for programs under test. It executes
 * the bytes of real submission queues and posts real completions, so everything above {@link Kernel} runs unchanged.
 *
 * <p>Nothing moves by itself. Loops are turned by {@link #settle}, time passes by {@link #advanceTime}, all of it on the
 * caller's thread; the same program with the same seed does the same things in the same order. (Other threads may make
 * system calls, such as waking a loop. What depends on when they do is not repeatable.)
 *
 * <p>What a program makes in {@code /dev/shm} can be mapped, by several; such a file keeps its length from then on.
 *
 * <pre>{@code
 * MemoryKernel kernel = MemoryKernel.create();
 * kernel.file("/disk.img", "hello".getBytes(US_ASCII));
 * EventLoop loop = EventLoop.start(kernel, "loop", RingConfig.DEFAULT);
 * Mono<UringFile> file = UringFile.open(loop, Path.of("/disk.img"), READ);
 * ...
 * kernel.settle();
 * }</pre>
 */
public final class MemoryKernel implements Kernel {

    /** What goes on for longer than so many steps goes round in circles. */
    private static final int STEP_LIMIT = 10_000_000;
    private static final int MAX_SQ_ENTRIES = 32_768;
    private static final int MAX_CQ_ENTRIES = 65_536;
    private static final int MAX_PATH_BYTES = 4096;
    private static final int KNOWN_SETUP = io_uring_h.IORING_SETUP_CQSIZE() | io_uring_h.IORING_SETUP_R_DISABLED()
            | io_uring_h.IORING_SETUP_SUBMIT_ALL() | io_uring_h.IORING_SETUP_COOP_TASKRUN()
            | io_uring_h.IORING_SETUP_SQE128() | io_uring_h.IORING_SETUP_SINGLE_ISSUER()
            | io_uring_h.IORING_SETUP_DEFER_TASKRUN() | io_uring_h.IORING_SETUP_NO_SQARRAY();
    private static final int FEATURES = io_uring_h.IORING_FEAT_SINGLE_MMAP() | io_uring_h.IORING_FEAT_NODROP()
            | io_uring_h.IORING_FEAT_SUBMIT_STABLE() | io_uring_h.IORING_FEAT_RW_CUR_POS()
            | io_uring_h.IORING_FEAT_FAST_POLL() | io_uring_h.IORING_FEAT_EXT_ARG()
            | io_uring_h.IORING_FEAT_NATIVE_WORKERS() | io_uring_h.IORING_FEAT_RSRC_TAGS()
            | io_uring_h.IORING_FEAT_CQE_SKIP() | io_uring_h.IORING_FEAT_LINKED_FILE();

    private final Agenda agenda;
    private final AddressSpace addresses = new AddressSpace();
    private final Descriptors descriptors = new Descriptors();
    private final FileSystem files;
    private final LoopTurns loops = new LoopTurns();
    private LoopTurns.@Nullable Turner turning;
    private @Nullable Consumer<String> trace;
    private volatile Consumer<? super Throwable> whenUncaught = e -> {};

    private MemoryKernel(@Nullable Random dice) {
        agenda = new Agenda(dice);
        files = new FileSystem(this);
    }

    /** A kernel in which everything completes in order, as soon as it can. */
    public static MemoryKernel create() {
        return new MemoryKernel(null);
    }

    /**
     * A kernel in which chance decides, of all that could happen next, what does: which loop turns, which operation
     * completes, and whether at once or some turns later. The same seed decides the same.
     */
    public static MemoryKernel create(long seed) {
        return new MemoryKernel(new Random(seed));
    }

    /** Lets everything happen that can happen without time passing. */
    public void settle() {
        for (int steps = 0; step(); steps++) {
            if (steps == STEP_LIMIT) throw new IllegalStateException("no end after " + STEP_LIMIT + " steps");
        }
    }

    /**
     * Lets one thing happen: a turn of a loop, or a worker's work.
     *
     * @return false if there is nothing that could happen now
     */
    public boolean step() {
        LoopTurns.Turner turner;
        synchronized (this) {
            checkBetweenTurns();
            int ready = agenda.readyCount();
            List<LoopTurns.Turner> movable = loops.movable(agenda.now());
            if (ready + movable.size() == 0) return false;
            int picked = agenda.pick(ready + movable.size());
            if (picked < ready) {
                agenda.runReady(picked);
                return true;
            }
            turner = movable.get(picked - ready);
            if (!turner.wakesUp(agenda.now())) return true;
            turning = turner;
        }
        turn(turner);
        return true;
    }

    private void checkBetweenTurns() {
        if (turning != null) {
            throw new IllegalStateException("the loop " + turning.name() + " is turning: wait until its turn is over");
        }
    }

    private void turn(LoopTurns.Turner turner) {
        if (isTraced()) trace("turn " + turner.name());
        boolean goesOn = false;
        try {
            goesOn = turner.turn();
        } finally {
            synchronized (this) {
                turning = null;
                if (goesOn) {
                    loops.moved(turner);
                } else {
                    loops.closed(turner);
                }
            }
        }
    }

    /** Lets time pass: from one deadline to the next, with everything settled in between. */
    public void advanceTime(Duration time) {
        long end = agenda.after(time.toNanos());
        settle();
        while (nextDeadline() <= end && nextDeadline() != Agenda.NEVER) {
            moveTo(nextDeadline());
            settle();
        }
        moveTo(end);
        settle();
    }

    /**
     * Lets time pass until the next deadline, whenever that is. Nothing is settled.
     *
     * @return false if there is none
     */
    public boolean skipToNextDeadline() {
        long next = nextDeadline();
        if (next == Agenda.NEVER) return false;
        moveTo(next);
        return true;
    }

    private synchronized long nextDeadline() {
        return Math.min(agenda.next(), loops.nextWakeUp());
    }

    private synchronized void moveTo(long time) {
        if (isTraced() && time > agenda.now()) trace("time +" + (time - agenda.now()) + " ns");
        agenda.moveTo(time);
    }

    /** Something of a driver's that happens after some time has passed. */
    public synchronized void after(Duration time, Runnable work) {
        agenda.at(agenda.after(time.toNanos()), work);
    }

    /** The file at a path, new and empty if there was none; its directories appear with it. */
    public synchronized MemoryFile file(String path) {
        return files.file(path);
    }

    /** The file at a path, with this content, all of it on the disk. */
    public synchronized MemoryFile file(String path, byte[] content) {
        return files.file(path).content(content);
    }

    /** Makes a directory. */
    public synchronized void directory(String path) {
        files.directory(path);
    }

    /** Makes a named pipe, {@code mkfifo(3)}. Opening it for reading does not wait for somebody who writes. */
    public synchronized void pipe(String path) {
        files.pipe(path);
    }

    /** Plugs a device in. */
    public synchronized void device(String path, CharacterDevice device) {
        files.device(path, device);
    }

    /** Unplugs what is at a path: who has it open keeps it. */
    public synchronized void remove(String path) {
        files.remove(path);
    }

    /**
     * The process dies as by {@code SIGKILL}: its loops turn no more, its descriptors are closed, its memory is gone. Files
     * and devices stay. What is started on this kernel afterwards is the next process.
     */
    public synchronized void kill() {
        checkBetweenTurns();
        if (isTraced()) trace("kill");
        loops.clear();
        addresses.clear();
        descriptors.closeAll();
    }

    /**
     * The power fails: the process dies, and of each file only what was synced is left. With a seed, chance leaves some of
     * the rest, as a disk may have written it already.
     */
    public synchronized void crash() {
        kill();
        files.crash();
    }

    /** How many descriptors are open. */
    public synchronized int openDescriptors() {
        return descriptors.count();
    }

    /** How many mappings of memory are alive. */
    public synchronized int liveMappings() {
        return addresses.count();
    }

    /**
     * The CPUs that a running loop has bound its thread to with {@link #schedSetaffinity}; empty if it runs anywhere.
     *
     * @throws IllegalArgumentException if no loop of this name is running
     */
    public synchronized BitSet affinity(String loop) {
        return loops.named(loop).cpus();
    }

    /**
     * Whether anything is due later. If nothing is, and nothing can happen now, only somebody else can make it: another thread, or a
     * caller of this kernel's.
     */
    public synchronized boolean hasDeadline() {
        return nextDeadline() != Agenda.NEVER;
    }

    /** Tells somebody of what is {@linkplain EventLoop#uncaught uncaught} on any loop; on whatever thread that happens. */
    public void onUncaught(Consumer<? super Throwable> listener) {
        whenUncaught = listener;
    }

    /** Tells somebody what happens, in words that are the same each time it happens the same way. */
    public void trace(Consumer<String> listener) {
        trace = listener;
    }

    boolean isTraced() {
        return trace != null;
    }

    void trace(String event) {
        if (trace != null) trace.accept(event);
    }

    Agenda agenda() {
        return agenda;
    }

    AddressSpace addresses() {
        return addresses;
    }

    Descriptors descriptors() {
        return descriptors;
    }

    FileSystem files() {
        return files;
    }

    /** Who makes system calls: the loop that is turning, or else the thread. */
    Object task() {
        return turning != null ? turning : Thread.currentThread();
    }

    MemorySegment memory(long address, long lengthBytes) {
        return addresses.at(address, lengthBytes);
    }

    /** A zero-terminated string in the memory of the process. */
    String string(long address) {
        MemorySegment memory = addresses.rest(address, MAX_PATH_BYTES);
        long length = 0;
        while (memory.get(JAVA_BYTE, length) != 0) {
            if (++length == memory.byteSize()) throw new KernelException("path", Errno.ENAMETOOLONG);
        }
        return new String(memory.asSlice(0, length).toArray(JAVA_BYTE), StandardCharsets.UTF_8);
    }

    /** A path in the memory of the process. Only the root is anybody's current directory. */
    String path(int directory, long address) {
        String path = string(address);
        if (!path.startsWith("/") && directory != linux_h.AT_FDCWD()) throw new KernelException(path, Errno.ENOTDIR);
        return path;
    }

    /** Does what may have to wait for a disk: now, or when that has taken its time. */
    void onDisk(Description file, Runnable work) {
        if (!file.isStorage()) {
            work.run();
        } else if (file.latencyNanos() > 0) {
            agenda.at(agenda.after(file.latencyNanos()), work);
        } else {
            maybeLater(work);
        }
    }

    /** Does something now; or a worker does it soon, if chance wants it so. */
    void maybeLater(Runnable work) {
        if (agenda.chance()) {
            agenda.soon(work);
        } else {
            work.run();
        }
    }

    @Override
    public synchronized int ioUringSetup(int entries, MemorySegment params) {
        int flags = io_uring_params.flags(params);
        boolean ownsTaskWork = (flags & io_uring_h.IORING_SETUP_DEFER_TASKRUN()) != 0;
        boolean singleIssuer = (flags & io_uring_h.IORING_SETUP_SINGLE_ISSUER()) != 0;
        if ((flags & ~KNOWN_SETUP) != 0 || entries < 1 || entries > MAX_SQ_ENTRIES || (ownsTaskWork && !singleIssuer)) {
            throw new KernelException("io_uring_setup", Errno.EINVAL);
        }
        int sqEntries = roundedUp(entries);
        int cqEntries = 2 * sqEntries;
        if ((flags & io_uring_h.IORING_SETUP_CQSIZE()) != 0) {
            int wanted = io_uring_params.cq_entries(params);
            if (wanted < 1 || wanted > MAX_CQ_ENTRIES || roundedUp(wanted) < sqEntries) {
                throw new KernelException("io_uring_setup", Errno.EINVAL);
            }
            cqEntries = roundedUp(wanted);
        }
        RingLayout layout = new RingLayout(sqEntries, cqEntries);
        layout.describe(params);
        io_uring_params.features(params, FEATURES);
        return descriptors.add(new MemoryRing(this, layout, flags));
    }

    private static int roundedUp(int entries) {
        return entries == 1 ? 1 : Integer.highestOneBit(entries - 1) << 1;
    }

    @Override
    public synchronized int ioUringEnter(int fd, int toSubmit, int minComplete, int flags, MemorySegment argument) {
        MemoryRing ring;
        long until;
        try {
            ring = ring(fd);
            until = waitsUntil(flags, argument);
        } catch (KernelException e) {
            return e.errno().result();
        }
        boolean getEvents = (flags & io_uring_h.IORING_ENTER_GETEVENTS()) != 0;
        int taken = ring.enter(toSubmit, getEvents);
        if (taken < 0 || !getEvents) return taken;
        Wait wait = new Wait(ring, minComplete, until);
        if (turning == null) {
            await(wait);
        } else if (minComplete > 0 && !wait.isOver(agenda.now())) {
            ring.hideCompletions();
            turning.sleeps(wait);
        }
        int ended = wait.result(agenda.now());
        return taken > 0 ? taken : ended;
    }

    private long waitsUntil(int flags, MemorySegment argument) {
        if ((flags & io_uring_h.IORING_ENTER_EXT_ARG()) == 0) return Agenda.NEVER;
        long address = io_uring_getevents_arg.ts(argument);
        if (address == 0) return Agenda.NEVER;
        MemorySegment timespec = memory(address, 2L * Long.BYTES);
        return agenda.after(timespec.get(JAVA_LONG, 0) * 1_000_000_000L + timespec.get(JAVA_LONG, Long.BYTES));
    }

    /** Somebody without a loop waits: everything else goes on meanwhile, and so does time. */
    private void await(Wait wait) {
        while (!wait.isOver(agenda.now())) {
            if (!step()) {
                long next = Math.min(nextDeadline(), wait.until());
                if (next == Agenda.NEVER) return;                      // Linux would wait for ever
                moveTo(next);
            }
            wait.goOn(agenda.now());
        }
    }

    private MemoryRing ring(int fd) {
        if (descriptors.get(fd) instanceof MemoryRing ring) return ring;
        throw new KernelException("io_uring", Errno.EOPNOTSUPP);
    }

    @Override
    public synchronized int ioUringRegister(int fd, int opcode, MemorySegment argument, int count) {
        MemoryRing ring = ring(fd);
        if (ring.isOthers()) throw new KernelException("io_uring_register(" + opcode + ")", Errno.EEXIST);
        new Registration(ring, argument, count).execute(opcode);
        return 0;
    }

    @Override
    public synchronized int open(String path, int flags, int mode) {
        if (isTraced()) trace("open " + path);
        return descriptors.add(files.open(path, flags));
    }

    @Override
    public synchronized void close(int fd) {
        if (isTraced()) trace("close " + fd);
        descriptors.close(fd);
    }

    @Override
    public synchronized List<String> list(String directory) {
        return files.list(directory);
    }

    @Override
    public synchronized MemorySegment mmap(int fd, long offset, long length, int protection, int flags, Arena arena) {
        return fd < 0 ? addresses.map(length, arena) : descriptors.get(fd).map(offset, length, arena);
    }

    @Override
    public synchronized void ftruncate(int fd, long lengthBytes) {
        KernelException.check("ftruncate to " + lengthBytes + " bytes", descriptors.get(fd).truncate(lengthBytes));
    }

    @Override
    public synchronized long lseekEnd(int fd) {
        return descriptors.get(fd).size();
    }

    /** Nothing is ever swapped out here. */
    @Override
    public void mlock(MemorySegment memory) {}

    @Override
    public synchronized int eventfd() {
        return descriptors.add(new EventCounter());
    }

    @Override
    public synchronized void eventfdWrite(int fd) {
        if (!(descriptors.get(fd) instanceof EventCounter counter)) throw new KernelException("eventfd_write", Errno.EINVAL);
        counter.add(1);
    }

    /** No thread here has anything to declare. */
    @Override
    public void prctl(int option, long argument) {}

    /** Nobody here has a CPU to run on; what a loop was bound to is remembered for {@link #affinity}. */
    @Override
    public synchronized void schedSetaffinity(BitSet cpus) {
        if (cpus.isEmpty()) throw new KernelException("sched_setaffinity to no CPU", Errno.EINVAL);
        if (turning != null) turning.bindTo(cpus);
    }

    @Override
    public long nanoTime() {
        return agenda.now();
    }

    @Override
    public synchronized void start(EventLoop loop) {
        loop.onUncaught(e -> whenUncaught.accept(e));
        loops.add(loop);
    }
}
