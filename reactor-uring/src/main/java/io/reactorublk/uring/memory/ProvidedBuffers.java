package io.reactorublk.uring.memory;

import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import io.reactorublk.uring.abi.io_uring_buf;
import io.reactorublk.uring.abi.io_uring_buf_ring;
import io.reactorublk.uring.abi.io_uring_h;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;
import org.jspecify.annotations.Nullable;

/**
 * A group of memory lent to the kernel: the head is ours, the tail the process's. An incremental group moves the address
 * of a buffer on as it is used up, in the process's own memory. Mirrors {@code io_uring/kbuf.c}.
 */
final class ProvidedBuffers {

    private static final VarHandle SHORT = JAVA_SHORT.varHandle();
    private static final long ENTRY_BYTES = io_uring_buf.layout().byteSize();
    private static final long TAIL = io_uring_buf_ring.tail$offset();

    private final AddressSpace memory;
    private final MemorySegment ring;
    private final int mask;
    private final boolean incremental;
    private short head;

    ProvidedBuffers(AddressSpace memory, long address, int entries, boolean incremental) {
        this.memory = memory;
        this.ring = memory.at(address, entries * ENTRY_BYTES);
        this.mask = entries - 1;
        this.incremental = incremental;
    }

    /** How many buffers have been used up, in 16 bits. */
    int head() {
        return Short.toUnsignedInt(head);
    }

    /** What is left of the first buffer that is not used up; null if none is lent. */
    @Nullable MemorySegment select() {
        if (!ring.scope().isAlive() || head == (short) SHORT.getAcquire(ring, TAIL)) return null;
        MemorySegment entry = first();
        return memory.at(io_uring_buf.addr(entry), Integer.toUnsignedLong(io_uring_buf.len(entry)));
    }

    /**
     * Uses up so many bytes of the buffer that was selected, or all of it if the group is not incremental.
     *
     * @return what the completion says about it, {@code IORING_CQE_F_BUFFER} and so on
     */
    int consume(int bytes) {
        MemorySegment entry = first();
        int flags = io_uring_h.IORING_CQE_F_BUFFER()
                | Short.toUnsignedInt(io_uring_buf.bid(entry)) << io_uring_h.IORING_CQE_BUFFER_SHIFT();
        int left = incremental ? io_uring_buf.len(entry) - bytes : 0;
        if (incremental) {
            if (left > 0) io_uring_buf.addr(entry, io_uring_buf.addr(entry) + bytes);
            io_uring_buf.len(entry, left);
        }
        if (left > 0) return flags | io_uring_h.IORING_CQE_F_BUF_MORE();
        head++;
        return flags;
    }

    private MemorySegment first() {
        return ring.asSlice((head & mask) * ENTRY_BYTES, ENTRY_BYTES);
    }
}
