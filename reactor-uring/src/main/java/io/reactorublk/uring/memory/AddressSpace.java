package io.reactorublk.uring.memory;

import io.reactorublk.uring.Errno;
import io.reactorublk.uring.KernelException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Map;
import java.util.TreeMap;

/**
 * The memory of the process, as far as this kernel handed it out: what an address in an entry may point to. No address is
 * ever turned into memory by force; it is looked up here, so a wrong one is EFAULT and not the end of the JVM.
 *
 * <p>A mapping ends with its arena. One of an automatic arena stays as long as the kernel does.
 */
final class AddressSpace {

    private static final long PAGE_BYTES = 4096;
    private static final int SWEEP_AT_LEAST = 256;

    private final TreeMap<Long, MemorySegment> mappings = new TreeMap<>();
    private int sweepAt = SWEEP_AT_LEAST;

    /** Zeroed memory at the start of a page. */
    MemorySegment map(long lengthBytes, Arena arena) {
        if (lengthBytes < 1) throw new KernelException("mmap of " + lengthBytes + " bytes", Errno.EINVAL);
        if (mappings.size() >= sweepAt) sweep();
        MemorySegment memory = arena.allocate(lengthBytes, PAGE_BYTES);
        long start = memory.address();
        // Whatever was here before is gone, or the memory could not have been given out again.
        mappings.subMap(start, start + lengthBytes).clear();
        mappings.put(start, memory);
        return memory;
    }

    /**
     * The memory at an address.
     *
     * @throws KernelException EFAULT, if it is not all in one living mapping
     */
    MemorySegment at(long address, long lengthBytes) {
        Map.Entry<Long, MemorySegment> found = mappings.floorEntry(address);
        if (found != null) {
            MemorySegment memory = found.getValue();
            long offset = address - found.getKey();
            if (lengthBytes >= 0 && offset <= memory.byteSize() - lengthBytes && memory.scope().isAlive()) {
                return memory.asSlice(offset, lengthBytes);
            }
        }
        throw new KernelException("memory", Errno.EFAULT);
    }

    /** The memory at an address, as much as there is of so many bytes. */
    MemorySegment rest(long address, long mostBytes) {
        at(address, 1);
        Map.Entry<Long, MemorySegment> found = mappings.floorEntry(address);
        return at(address, Math.min(mostBytes, found.getKey() + found.getValue().byteSize() - address));
    }

    /** How many mappings live. */
    int count() {
        sweep();
        return mappings.size();
    }

    /** The process is gone, and its memory with it. */
    void clear() {
        mappings.clear();
    }

    private void sweep() {
        mappings.values().removeIf(memory -> !memory.scope().isAlive());
        sweepAt = Math.max(SWEEP_AT_LEAST, 2 * mappings.size());
    }
}
