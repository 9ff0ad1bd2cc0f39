package io.reactorublk.memory;

import io.reactorublk.abi.ublk_cmd_h;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.KernelException;
import java.lang.foreign.MemorySegment;
import java.util.Map;
import java.util.TreeMap;

/**
 * Memory that was registered with a device, so that requests of applications whose bytes are in it need no copy: the driver
 * knows it by its page frames, for which addresses stand here. It is the device's until it is taken back or the device is
 * freed, whatever becomes of the server. Mirrors {@code ub->buf_tree}, {@code ub->buf_ida} and {@code ublk_try_buf_match}.
 */
final class SharedPages {

    /** Of a request that is in no such memory. */
    static final long NOWHERE = -1;

    private static final int MAX_INDEX = 0xffff;

    private record Registered(MemorySegment memory, boolean readOnly) {

        /** Memory whose mapping has ended is nobody's; what has its address now is something else. */
        boolean holds(long address, long length) {
            long offset = address - memory.address();
            return memory.scope().isAlive() && offset >= 0 && offset <= memory.byteSize() - length;
        }

        boolean overlaps(MemorySegment other) {
            return memory.scope().isAlive() && memory.address() < other.address() + other.byteSize()
                    && other.address() < memory.address() + memory.byteSize();
        }
    }

    private final TreeMap<Integer, Registered> byIndex = new TreeMap<>();

    /** {@code __ublk_ctrl_reg_buf}: the lowest index that is free. A page frame is registered once. */
    int add(MemorySegment memory, boolean readOnly) {
        int index = 0;
        while (byIndex.containsKey(index)) index++;
        if (index > MAX_INDEX) throw new KernelException("ublk_ctrl_reg_buf", Errno.ENOSPC);
        if (byIndex.values().stream().anyMatch(registered -> registered.overlaps(memory))) {
            throw new KernelException("ublk_ctrl_reg_buf", Errno.EEXIST);
        }
        byIndex.put(index, new Registered(memory, readOnly));
        return index;
    }

    /** {@code ublk_shmem_remove_ranges}. */
    void remove(int index) {
        if (byIndex.remove(index) == null) throw new KernelException("ublk_ctrl_unreg_buf", Errno.ENOENT);
    }

    /**
     * {@code ublk_try_buf_match}: what the descriptor says of a request all of whose bytes are in one registered piece of
     * memory, else {@link #NOWHERE}.
     */
    long find(IoRequest request) {
        if (byIndex.isEmpty() || !request.hasData() || !request.memory().isNative()) return NOWHERE;
        long address = request.memory().address() + request.from();
        for (Map.Entry<Integer, Registered> entry : byIndex.entrySet()) {
            Registered registered = entry.getValue();
            if (!registered.holds(address, request.length())) continue;
            if (registered.readOnly && request.operation == IoRequest.READ) return NOWHERE;
            return ((long) entry.getKey() << ublk_cmd_h.UBLK_SHMEM_ZC_IDX_OFF()) | (address - registered.memory.address());
        }
        return NOWHERE;
    }
}
