package io.reactorublk.uring;

import io.reactorublk.uring.abi.linux_h;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.BitSet;
import java.util.List;

/**
 * The one door to the operating system: the dozen system calls we make, each named after its man page, and who gives an
 * {@link EventLoop} its thread and its time.
 *
 * <p>Two rules make a second implementation, in memory, possible. Memory whose address is handed to the kernel comes from
 * {@link #allocate} or {@link #mmap}, so that an implementation knows every byte an address may point to. And time is read
 * here and nowhere else.
 *
 * <p>A refused call throws a {@link KernelException}. The exception to this is {@link #ioUringEnter}: an interrupted or
 * timed-out wait is everyday life of a loop, so it returns {@code -errno}.
 *
 * <p>All methods may be called from any thread, but a ring belongs to the thread that enabled it.
 */
public interface Kernel {

    /**
     * The kernel this JVM runs on.
     *
     * @throws UnsupportedOperationException if that is not Linux on x86-64, naming what it is
     */
    static Kernel linux() {
        return LinuxKernel.instance();
    }

    /**
     * {@code io_uring_setup(2)}.
     *
     * @param entries the number of submission queue entries
     * @param params a {@code struct io_uring_params}, read and written
     * @return the ring's file descriptor
     */
    int ioUringSetup(int entries, MemorySegment params);

    /**
     * {@code io_uring_enter(2)}: the one call of a turn.
     *
     * @param argument a {@code struct io_uring_getevents_arg} if the flags say so, else {@link MemorySegment#NULL}
     * @return the number of entries the kernel took, or {@code -errno}
     */
    int ioUringEnter(int ring, int toSubmit, int minComplete, int flags, MemorySegment argument);

    /** {@code io_uring_register(2)}. */
    int ioUringRegister(int ring, int opcode, MemorySegment argument, int count);

    /** {@code open(2)}, always with {@code O_CLOEXEC}: a child that inherits a ublk descriptor keeps its device alive. */
    int open(String path, int flags, int mode);

    /** {@code close(2)}. */
    void close(int fd);

    /**
     * {@code readdir(3)} from the start of a directory to its end: the names in it, in no order, without itself and its parent.
     * For directories that answer at once, as those of {@code /sys} and {@code /dev} do.
     */
    List<String> list(String directory);

    /**
     * {@code mmap(2)}. The mapping ends with the arena, by {@code munmap(2)}; it does not need the descriptor any more.
     *
     * @param fd what to map, or -1 with {@code MAP_ANONYMOUS}
     */
    MemorySegment mmap(int fd, long offset, long length, int protection, int flags, Arena arena);

    /** {@code ftruncate(2)}: makes a file so long; what it grows by reads as zeroes. */
    void ftruncate(int fd, long lengthBytes);

    /** {@code lseek(2)} to the end: how long a file is, in bytes. Nobody here reads or writes at a position that a file remembers. */
    long lseekEnd(int fd);

    /** {@code mlock(2)}: touches every page and keeps it in memory until it is unmapped. */
    void mlock(MemorySegment memory);

    /** {@code eventfd(2)}, a counter of 0, close-on-exec. */
    int eventfd();

    /** {@code eventfd_write(3)} of 1: wakes who reads it. */
    void eventfdWrite(int fd);

    /** {@code prctl(2)} on the calling thread. */
    void prctl(int option, long argument);

    /**
     * {@code sched_setaffinity(2)} of the calling thread: from now on it runs on these CPUs only, and so do threads that it
     * starts.
     *
     * @param cpus by number; those that the machine does not have, or that this process may not use, are left out
     * @throws KernelException EINVAL if none is left
     */
    void schedSetaffinity(BitSet cpus);

    /** The clock that deadlines are measured by, in ns; {@link System#nanoTime} on a real kernel. */
    long nanoTime();

    /** Gives a loop its time: from now on somebody calls {@link EventLoop#turn} until the loop is closed. */
    void start(EventLoop loop);

    /**
     * Page-aligned zeroed memory whose address may be handed to this kernel, until the arena closes. Not touched yet: what
     * must never fault is {@linkplain #mlock locked}.
     *
     * @param lengthBytes at least 1; rounded up to whole pages by the kernel
     */
    default MemorySegment allocate(long lengthBytes, Arena arena) {
        return mmap(-1, 0, lengthBytes, linux_h.PROT_READ() | linux_h.PROT_WRITE(),
                linux_h.MAP_PRIVATE() | linux_h.MAP_ANONYMOUS(), arena);
    }
}
