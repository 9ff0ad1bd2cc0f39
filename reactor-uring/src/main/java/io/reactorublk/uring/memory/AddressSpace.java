package io.reactorublk.uring.memory;

import io.reactorublk.uring.Errno;
import io.reactorublk.uring.KernelException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * The memory of the process, as far as this kernel handed it out: what an address in an entry may point to. No address is
 * ever turned into memory by force; it is looked up here, so a wrong one is EFAULT and not the end of the JVM.
 *
 * <p>A mapping ends with its arena. One of an automatic arena stays as long as the kernel does. Whoever maps a file gets the
 * file's own memory, which does not end with the mapping: only its address leads nowhere any more, after the last one.
 */
final class AddressSpace {

    private static final long PAGE_BYTES = 4096;
    private static final int SWEEP_AT_LEAST = 256;

    /** A file's memory, and who has it mapped. */
    private record MappedFile(MemorySegment memory, List<MemorySegment.Scope> mappings) {

        boolean isMapped() {
            mappings.removeIf(mapping -> !mapping.isAlive());
            return !mappings.isEmpty();
        }
    }

    private final TreeMap<Long, MemorySegment> mappings = new TreeMap<>();
    private final TreeMap<Long, MappedFile> files = new TreeMap<>();
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

    /** A file's memory, from its start. */
    MemorySegment map(MemorySegment file, long lengthBytes, Arena arena) {
        files.computeIfAbsent(file.address(), start -> new MappedFile(file, new ArrayList<>())).mappings.add(arena.scope());
        return file.asSlice(0, lengthBytes);
    }

    /**
     * The memory at an address.
     *
     * @throws KernelException EFAULT, if it is not all in one living mapping
     */
    MemorySegment at(long address, long lengthBytes) {
        MemorySegment memory = containing(address, lengthBytes);
        return memory.asSlice(address - memory.address(), lengthBytes);
    }

    /** The memory at an address, as much as there is of so many bytes. */
    MemorySegment rest(long address, long mostBytes) {
        MemorySegment memory = containing(address, 1);
        return at(address, Math.min(mostBytes, memory.address() + memory.byteSize() - address));
    }

    private MemorySegment containing(long address, long lengthBytes) {
        Map.Entry<Long, MemorySegment> found = mappings.floorEntry(address);
        if (found != null && holds(found.getValue(), address - found.getKey(), lengthBytes) && found.getValue().scope().isAlive()) {
            return found.getValue();
        }
        Map.Entry<Long, MappedFile> file = files.floorEntry(address);
        if (file != null && holds(file.getValue().memory, address - file.getKey(), lengthBytes) && file.getValue().isMapped()) {
            return file.getValue().memory;
        }
        throw new KernelException("memory", Errno.EFAULT);
    }

    private static boolean holds(MemorySegment memory, long offset, long lengthBytes) {
        return lengthBytes >= 0 && offset <= memory.byteSize() - lengthBytes;
    }

    /** How many mappings live. */
    int count() {
        sweep();
        return mappings.size() + files.values().stream().mapToInt(file -> file.mappings.size()).sum();
    }

    /** The process is gone, and its memory with it. */
    void clear() {
        mappings.clear();
        files.clear();
    }

    private void sweep() {
        files.values().removeIf(file -> !file.isMapped());
        mappings.values().removeIf(memory -> !memory.scope().isAlive());
        sweepAt = Math.max(SWEEP_AT_LEAST, 2 * mappings.size());
    }
}
