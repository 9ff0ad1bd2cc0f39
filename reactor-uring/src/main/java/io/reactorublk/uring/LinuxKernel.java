package io.reactorublk.uring;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.reactorublk.uring.abi.linux_h;
import java.io.File;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.VarHandle;
import java.util.BitSet;
import java.util.List;

/**
 * Linux, through {@code java.lang.foreign}: no C of ours, no liburing. The only class that calls restricted methods.
 *
 * <p>io_uring has no wrappers in libc; its three calls go through {@code syscall(2)} and have the same numbers on every
 * architecture. None of these downcalls is "critical": {@code io_uring_enter} sleeps, and a thread that sleeps inside a
 * critical call would hold up every garbage collection.
 */
final class LinuxKernel implements Kernel {

    private static final int NR_IO_URING_SETUP = 425;
    private static final int NR_IO_URING_ENTER = 426;
    private static final int NR_IO_URING_REGISTER = 427;

    private static final Linker LINKER = Linker.nativeLinker();
    private static final MemoryLayout CALL_STATE = Linker.Option.captureStateLayout();
    private static final VarHandle ERRNO = CALL_STATE.varHandle(MemoryLayout.PathElement.groupElement("errno"));

    /** Where {@code errno} is captured: a few bytes for each thread that ever makes a call. */
    private static final ThreadLocal<MemorySegment> CALL_STATE_OF_THREAD =
            ThreadLocal.withInitial(() -> Arena.ofAuto().allocate(CALL_STATE));

    private static final MethodHandle SYSCALL = function("syscall",
            FunctionDescriptor.of(JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG),
            Linker.Option.firstVariadicArg(1));
    private static final MethodHandle OPEN = function("open",
            FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT), Linker.Option.firstVariadicArg(2));
    private static final MethodHandle CLOSE = function("close", FunctionDescriptor.of(JAVA_INT, JAVA_INT));
    private static final MethodHandle MMAP = function("mmap",
            FunctionDescriptor.of(ADDRESS, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG));
    private static final MethodHandle MUNMAP = function("munmap", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG));
    private static final MethodHandle FTRUNCATE = function("ftruncate", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_LONG));
    private static final MethodHandle LSEEK = function("lseek", FunctionDescriptor.of(JAVA_LONG, JAVA_INT, JAVA_LONG, JAVA_INT));
    private static final MethodHandle MLOCK = function("mlock", FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG));
    private static final MethodHandle EVENTFD = function("eventfd", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT));
    private static final MethodHandle EVENTFD_WRITE =
            function("eventfd_write", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_LONG));
    private static final MethodHandle PRCTL = function("prctl",
            FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG),
            Linker.Option.firstVariadicArg(1));
    private static final MethodHandle SCHED_SETAFFINITY =
            function("sched_setaffinity", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_LONG, ADDRESS));

    private static final int THIS_THREAD = 0;
    private static final long MAP_FAILED = -1;
    private static final int SEEK_END = 2;

    private LinuxKernel() {}

    static Kernel instance() {
        String system = System.getProperty("os.name") + " on " + System.getProperty("os.arch");
        // The generated bindings hold x86-64's numbers; a few (O_DIRECT) differ elsewhere.
        if (!system.equals("Linux on amd64")) {
            throw new UnsupportedOperationException("io_uring needs Linux on amd64; this is " + system);
        }
        return Holder.KERNEL;
    }

    /** Links the downcalls when the kernel is first used, not when the interface is first named. */
    private static final class Holder {
        static final Kernel KERNEL = new LinuxKernel();
    }

    @Override
    public int ioUringSetup(int entries, MemorySegment params) {
        int result = syscall(NR_IO_URING_SETUP, entries, params.address(), 0, 0, 0, 0);
        if (result >= 0) return result;
        Errno errno = Errno.of(result);
        throw new KernelException("io_uring_setup", errno, switch (errno) {
            case EPERM -> "Is kernel.io_uring_disabled set, or a container's seccomp profile in the way?";
            case ENOSYS -> "This kernel has no io_uring";
            case ENOMEM -> "Is RLIMIT_MEMLOCK or the memory of this cgroup used up?";
            default -> tooManyFiles(errno);
        });
    }

    private static String tooManyFiles(Errno errno) {
        return errno == Errno.EMFILE ? "This process has too many open files; raise `ulimit -n`" : "";
    }

    private static int checkDescriptor(String call, int result) {
        if (result >= 0) return result;
        Errno errno = Errno.of(result);
        throw new KernelException(call, errno, tooManyFiles(errno));
    }

    @Override
    public int ioUringEnter(int ring, int toSubmit, int minComplete, int flags, MemorySegment argument) {
        return syscall(NR_IO_URING_ENTER, ring, toSubmit, minComplete, flags, argument.address(), argument.byteSize());
    }

    @Override
    public int ioUringRegister(int ring, int opcode, MemorySegment argument, int count) {
        int result = syscall(NR_IO_URING_REGISTER, ring, opcode, argument.address(), count, 0, 0);
        return KernelException.check("io_uring_register(" + opcode + ")", result);
    }

    @Override
    public int open(String path, int flags, int mode) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment name = arena.allocateFrom(path);
            MemorySegment state = CALL_STATE_OF_THREAD.get();
            int fd = (int) OPEN.invokeExact(state, name, flags | linux_h.O_CLOEXEC(), mode);
            return checkDescriptor("open " + path, resultOf(fd, state));
        } catch (Throwable e) {
            throw rethrow(e);
        }
    }

    @Override
    public void close(int fd) {
        try {
            MemorySegment state = CALL_STATE_OF_THREAD.get();
            KernelException.check("close", resultOf((int) CLOSE.invokeExact(state, fd), state));
        } catch (Throwable e) {
            throw rethrow(e);
        }
    }

    /** By the JDK, which knows {@code struct dirent}; a directory it cannot read is as good as none. */
    @Override
    public List<String> list(String directory) {
        String[] names = new File(directory).list();
        if (names == null) throw new KernelException("list " + directory, Errno.ENOENT);
        return List.of(names);
    }

    @Override
    public MemorySegment mmap(int fd, long offset, long length, int protection, int flags, Arena arena) {
        try {
            MemorySegment state = CALL_STATE_OF_THREAD.get();
            MemorySegment start = (MemorySegment) MMAP.invokeExact(state, 0L, length, protection, flags, fd, offset);
            if (start.address() == MAP_FAILED) {
                throw new KernelException("mmap of " + length + " bytes", Errno.of(-(int) ERRNO.get(state, 0L)));
            }
            return start.reinterpret(length, arena, LinuxKernel::munmap);
        } catch (Throwable e) {
            throw rethrow(e);
        }
    }

    private static void munmap(MemorySegment memory) {
        try {
            MemorySegment state = CALL_STATE_OF_THREAD.get();
            int result = (int) MUNMAP.invokeExact(state, memory.address(), memory.byteSize());
            KernelException.check("munmap", resultOf(result, state));
        } catch (Throwable e) {
            throw rethrow(e);
        }
    }

    @Override
    public void ftruncate(int fd, long lengthBytes) {
        try {
            MemorySegment state = CALL_STATE_OF_THREAD.get();
            KernelException.check("ftruncate to " + lengthBytes + " bytes",
                    resultOf((int) FTRUNCATE.invokeExact(state, fd, lengthBytes), state));
        } catch (Throwable e) {
            throw rethrow(e);
        }
    }

    @Override
    public long lseekEnd(int fd) {
        try {
            MemorySegment state = CALL_STATE_OF_THREAD.get();
            long end = (long) LSEEK.invokeExact(state, fd, 0L, SEEK_END);
            if (end < 0) throw new KernelException("lseek", Errno.of(-(int) ERRNO.get(state, 0L)));
            return end;
        } catch (Throwable e) {
            throw rethrow(e);
        }
    }

    @Override
    public void mlock(MemorySegment memory) {
        try {
            MemorySegment state = CALL_STATE_OF_THREAD.get();
            int result = resultOf((int) MLOCK.invokeExact(state, memory.address(), memory.byteSize()), state);
            if (result < 0) {
                throw new KernelException("mlock of " + memory.byteSize() + " bytes", Errno.of(result),
                        "RLIMIT_MEMLOCK is too low; see `ulimit -l` (KiB), raise it or run with CAP_IPC_LOCK");
            }
        } catch (Throwable e) {
            throw rethrow(e);
        }
    }

    @Override
    public int eventfd() {
        try {
            MemorySegment state = CALL_STATE_OF_THREAD.get();
            int fd = (int) EVENTFD.invokeExact(state, 0, linux_h.EFD_CLOEXEC());
            return checkDescriptor("eventfd", resultOf(fd, state));
        } catch (Throwable e) {
            throw rethrow(e);
        }
    }

    @Override
    public void eventfdWrite(int fd) {
        try {
            MemorySegment state = CALL_STATE_OF_THREAD.get();
            KernelException.check("eventfd_write", resultOf((int) EVENTFD_WRITE.invokeExact(state, fd, 1L), state));
        } catch (Throwable e) {
            throw rethrow(e);
        }
    }

    @Override
    public void prctl(int option, long argument) {
        try {
            MemorySegment state = CALL_STATE_OF_THREAD.get();
            int result = (int) PRCTL.invokeExact(state, option, argument, 0L, 0L, 0L);
            KernelException.check("prctl(" + option + ", " + argument + ")", resultOf(result, state));
        } catch (Throwable e) {
            throw rethrow(e);
        }
    }

    @Override
    public void schedSetaffinity(BitSet cpus) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment mask = arena.allocateFrom(JAVA_LONG, cpus.toLongArray());
            MemorySegment state = CALL_STATE_OF_THREAD.get();
            int result = (int) SCHED_SETAFFINITY.invokeExact(state, THIS_THREAD, mask.byteSize(), mask);
            int refusal = resultOf(result, state);
            if (refusal < 0) {
                Errno errno = Errno.of(refusal);
                throw new KernelException("sched_setaffinity to CPUs " + cpus, errno,
                        errno == Errno.EINVAL ? "This process may use none of them; see Cpus_allowed_list in /proc/self/status" : "");
            }
        } catch (Throwable e) {
            throw rethrow(e);
        }
    }

    @Override
    public long nanoTime() {
        return System.nanoTime();
    }

    @Override
    public void start(EventLoop loop) {
        new LoopThread(loop).start();
    }

    private static int syscall(long number, long a, long b, long c, long d, long e, long f) {
        try {
            MemorySegment state = CALL_STATE_OF_THREAD.get();
            long result = (long) SYSCALL.invokeExact(state, number, a, b, c, d, e, f);
            return resultOf((int) result, state);
        } catch (Throwable t) {
            throw rethrow(t);
        }
    }

    /** The kernel's own convention, {@code -errno}, back from libc's, which is -1 and a variable. */
    private static int resultOf(int returned, MemorySegment state) {
        return returned == -1 ? -(int) ERRNO.get(state, 0L) : returned;
    }

    private static MethodHandle function(String name, FunctionDescriptor descriptor, Linker.Option... options) {
        Linker.Option[] all = java.util.Arrays.copyOf(options, options.length + 1);
        all[options.length] = Linker.Option.captureCallState("errno");
        return LINKER.downcallHandle(LINKER.defaultLookup().findOrThrow(name), descriptor, all);
    }

    /** A method handle may throw anything; ours throw nothing checked. */
    private static RuntimeException rethrow(Throwable e) {
        if (e instanceof RuntimeException runtime) throw runtime;
        if (e instanceof Error error) throw error;
        throw new AssertionError(e);
    }
}
