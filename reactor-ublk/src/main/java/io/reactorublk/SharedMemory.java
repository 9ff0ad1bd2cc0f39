package io.reactorublk;

import io.reactorublk.uring.Kernel;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.abi.linux_h;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.BitSet;

/**
 * Memory that a server shares with applications, so that their requests need no copy and the server sees their bytes all the
 * same. Both map one file without a disk below: in {@code /dev/shm}, or on hugetlbfs.
 *
 * <p>The server gives it to {@link UblkDevice#share}. An application opens it by its path, takes pieces with
 * {@link #allocate}, and reads and writes the block device with them past the page cache ({@code O_DIRECT}). Requests
 * from other memory are served as ever.
 *
 * {@snippet file="io/reactorublk/Snippets.java" region="shared"}
 *
 * <p>A request in it must be answered whole, see {@link Completion}.
 *
 * <p>{@link #allocate} and {@link #free} may be called by any thread. They know of this object only: applications that share
 * one file must agree on who uses which part.
 */
public final class SharedMemory implements AutoCloseable {

    private static final int PAGE = 4096;
    /** What the driver registers at once. */
    private static final long MAX_BYTES = 1L << 32;
    /** What the umask leaves of it. */
    private static final int PERMISSIONS = 0666;

    private final Path path;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment memory;
    private final BitSet taken = new BitSet();

    /** @param bytes how long to make it, or 0 to take it as it is */
    private SharedMemory(Kernel kernel, Path path, long bytes, int flags) {
        this.path = path;
        try {
            int fd = kernel.open(path.toString(), linux_h.O_RDWR() | flags, PERMISSIONS);
            try {
                if (bytes > 0) kernel.ftruncate(fd, bytes);
                long size = kernel.lseekEnd(fd);
                requirePages(size);
                memory = kernel.mmap(fd, 0, size, linux_h.PROT_READ() | linux_h.PROT_WRITE(), linux_h.MAP_SHARED(), arena);
            } finally {
                kernel.close(fd);
            }
        } catch (RuntimeException e) {
            arena.close();
            throw e;
        }
    }

    private static void requirePages(long bytes) {
        if (bytes < PAGE || bytes > MAX_BYTES || bytes % PAGE != 0) {
            throw new IllegalArgumentException(
                    "shared memory of " + bytes + " bytes: whole pages (" + PAGE + " bytes) up to 4 GiB are possible");
        }
    }

    /**
     * Makes such memory.
     *
     * @param path of a file that is not there yet, usually in {@code /dev/shm}; who may open it may share it
     * @param bytes whole pages up to 4 GiB
     * @throws KernelException if the file cannot be made: {@code EEXIST} if it is there
     */
    public static SharedMemory create(Path path, long bytes) {
        return create(Kernel.linux(), path, bytes);
    }

    /** As {@link #create(Path, long)}, on another kernel. In memory it must be in {@code /dev/shm}. */
    public static SharedMemory create(Kernel kernel, Path path, long bytes) {
        requirePages(bytes);
        return new SharedMemory(kernel, path, bytes, linux_h.O_CREAT() | linux_h.O_EXCL());
    }

    /**
     * Opens what another process, or this one, has made.
     *
     * @throws KernelException if it is not there ({@code ENOENT}) or may not be opened
     */
    public static SharedMemory open(Path path) {
        return open(Kernel.linux(), path);
    }

    /** As {@link #open(Path)}, on another kernel. */
    public static SharedMemory open(Kernel kernel, Path path) {
        return new SharedMemory(kernel, path, 0, 0);
    }

    /** The file. It stays when this is closed. */
    public Path path() {
        return path;
    }

    /**
     * All of it.
     *
     * @throws IllegalStateException if this is closed
     */
    public MemorySegment memory() {
        if (isClosed()) throw new IllegalStateException(this + " is closed");
        return memory;
    }

    boolean isClosed() {
        return !arena.scope().isAlive();
    }

    /**
     * A piece that nobody else has from this object: page-aligned, so {@link MemorySegment#asByteBuffer} of it will do for a
     * channel that is {@code DIRECT}. Its content is what was there before.
     *
     * @param bytes at least 1; rounded up to whole pages
     * @throws IllegalStateException if there is no room in one piece, or this is closed
     */
    public synchronized MemorySegment allocate(long bytes) {
        if (bytes < 1) throw new IllegalArgumentException("a piece of " + bytes + " bytes: it must have one at least");
        long pages = (bytes + PAGE - 1) / PAGE;
        long all = memory.byteSize() / PAGE;
        for (int first = taken.nextClearBit(0); first + pages <= all; ) {
            int next = taken.nextSetBit(first);
            if (next < 0 || next - first >= pages) {
                taken.set(first, (int) (first + pages));
                return memory().asSlice((long) first * PAGE, pages * PAGE);
            }
            first = taken.nextClearBit(next);
        }
        throw new IllegalStateException("no " + bytes + " bytes in one piece are free in " + this);
    }

    /** Gives back what {@link #allocate} returned. */
    public synchronized void free(MemorySegment piece) {
        long from = piece.address() - memory.address();
        if (from < 0 || from + piece.byteSize() > memory.byteSize()) throw new IllegalArgumentException("not a piece of " + this);
        taken.clear((int) (from / PAGE), (int) ((from + piece.byteSize()) / PAGE));
    }

    /** Unmaps it. A device that shares it must have {@linkplain UblkDevice#unshare let go} of it or be gone. */
    @Override
    public void close() {
        arena.close();
    }

    @Override
    public String toString() {
        return "SharedMemory(" + path + ", " + memory.byteSize() + " bytes)";
    }
}
