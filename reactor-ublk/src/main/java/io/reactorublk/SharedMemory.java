package io.reactorublk;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
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
 * <p>{@link #allocate} and {@link #free} may be called by any thread. They know of this object only: applications that share
 * one file must agree on who uses which part.
 */
public final class SharedMemory implements AutoCloseable {

    private static final int PAGE = 4096;
    /** What the driver registers at once. */
    private static final long MAX_BYTES = 1L << 32;

    private final Path path;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment memory;
    private final BitSet taken = new BitSet();

    private SharedMemory(Path path, long bytes, StandardOpenOption... options) {
        this.path = path;
        try (FileChannel file = FileChannel.open(path, options)) {
            long size = bytes > 0 ? bytes : file.size();
            if (size < PAGE || size > MAX_BYTES || size % PAGE != 0) {
                throw new IllegalArgumentException(
                        "shared memory of " + size + " bytes: whole pages (" + PAGE + " bytes) up to 4 GiB are possible");
            }
            memory = file.map(MapMode.READ_WRITE, 0, size, arena);     // grows the file
        } catch (IOException e) {
            arena.close();
            throw new UncheckedIOException("cannot share " + path + ": " + e, e);
        } catch (RuntimeException e) {
            arena.close();
            throw e;
        }
    }

    /**
     * Makes such memory.
     *
     * @param path of a file that is not there yet, usually in {@code /dev/shm}; who may open it may share it
     * @param bytes whole pages up to 4 GiB
     * @throws UncheckedIOException if the file cannot be made
     */
    public static SharedMemory create(Path path, long bytes) {
        if (bytes <= 0) throw new IllegalArgumentException("shared memory of " + bytes + " bytes: it must hold a page at least");
        return new SharedMemory(path, bytes, StandardOpenOption.CREATE_NEW, StandardOpenOption.READ, StandardOpenOption.WRITE);
    }

    /**
     * Opens what another process, or this one, has made.
     *
     * @throws UncheckedIOException if it is not there or may not be opened
     */
    public static SharedMemory open(Path path) {
        return new SharedMemory(path, 0, StandardOpenOption.READ, StandardOpenOption.WRITE);
    }

    /** The file. It stays when this is closed. */
    public Path path() {
        return path;
    }

    /** All of it. */
    public MemorySegment memory() {
        return memory;
    }

    /**
     * A piece that nobody else has from this object: page-aligned, so {@link MemorySegment#asByteBuffer} of it will do for a
     * channel that is {@code DIRECT}. Its content is what was there before.
     *
     * @param bytes at least 1; rounded up to whole pages
     * @throws IllegalStateException if there is no room in one piece
     */
    public synchronized MemorySegment allocate(long bytes) {
        if (bytes < 1) throw new IllegalArgumentException("a piece of " + bytes + " bytes: it must have one at least");
        long pages = (bytes + PAGE - 1) / PAGE;
        long all = memory.byteSize() / PAGE;
        for (int first = taken.nextClearBit(0); first + pages <= all; ) {
            int next = taken.nextSetBit(first);
            if (next < 0 || next - first >= pages) {
                taken.set(first, (int) (first + pages));
                return memory.asSlice((long) first * PAGE, pages * PAGE);
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
