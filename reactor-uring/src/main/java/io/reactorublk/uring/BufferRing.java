package io.reactorublk.uring;

import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import io.reactorublk.uring.abi.io_uring_buf;
import io.reactorublk.uring.abi.io_uring_buf_reg;
import io.reactorublk.uring.abi.io_uring_buf_ring;
import io.reactorublk.uring.abi.io_uring_buf_status;
import io.reactorublk.uring.abi.io_uring_h;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;

/**
 * Memory lent to the kernel, for it to choose from when data arrives: a ring of {@code {address, length, id}}, whose tail
 * is ours and whose head is the kernel's.
 *
 * <p>An incremental ring ({@code IOU_PBUF_RING_INC}, Linux 6.12) uses a buffer up byte by byte over several completions,
 * so the bytes lent are exactly the bytes that can arrive. Offering and publishing are two words because the kernel sees
 * all that was offered at once. Owned by the ring's thread. Mirrors {@code io_uring_register_buf_ring(3)}.
 */
public final class BufferRing implements AutoCloseable {

    /** {@code io_uring/kbuf.c}: a group holds fewer entries than a 16-bit counter. */
    public static final int MAX_ENTRIES = 32_768;

    private static final VarHandle SHORT = JAVA_SHORT.varHandle();
    private static final long ENTRY_BYTES = io_uring_buf.layout().byteSize();
    private static final long TAIL = io_uring_buf_ring.tail$offset();

    private final Ring ring;
    private final int group;
    private final boolean incremental;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment entries;
    private final MemorySegment request;
    private final int mask;
    private short tail;

    /**
     * Registers a group of lent memory.
     *
     * @param group its number in this ring
     * @param capacity how many buffers it can hold, rounded up to a power of two, at most {@value #MAX_ENTRIES}
     * @param incremental whether a buffer is used up in parts
     */
    public BufferRing(Ring ring, int group, int capacity, boolean incremental) {
        if (capacity < 1 || capacity > MAX_ENTRIES) {
            throw new IllegalArgumentException("a buffer ring of " + capacity + " entries: from 1 to " + MAX_ENTRIES
                    + " are possible");
        }
        this.ring = ring;
        this.group = group;
        this.incremental = incremental;
        int rounded = capacity == 1 ? 1 : Integer.highestOneBit(capacity - 1) << 1;
        mask = rounded - 1;
        try {
            entries = ring.kernel().allocate(rounded * ENTRY_BYTES, arena);
            request = ring.kernel().allocate(
                    Math.max(io_uring_buf_reg.layout().byteSize(), io_uring_buf_status.layout().byteSize()), arena);
            register();
        } catch (RuntimeException e) {
            arena.close();
            throw e;
        }
    }

    private void register() {
        request.fill((byte) 0);
        io_uring_buf_reg.ring_addr(request, entries.address());
        io_uring_buf_reg.ring_entries(request, mask + 1);
        io_uring_buf_reg.bgid(request, (short) group);
        io_uring_buf_reg.flags(request, (short) (incremental ? io_uring_h.IOU_PBUF_RING_INC() : 0));
        ring.register(io_uring_h.IORING_REGISTER_PBUF_RING(), request, 1);
    }

    private void unregister() {
        request.fill((byte) 0);
        io_uring_buf_reg.bgid(request, (short) group);
        ring.register(io_uring_h.IORING_UNREGISTER_PBUF_RING(), request, 1);
    }

    /** The group operations name to take memory from here. */
    public int group() {
        return group;
    }

    /** How many buffers can be lent at a time. */
    public int capacity() {
        return mask + 1;
    }

    /** Adds a buffer, which the kernel sees with the next {@link #publish}. The caller keeps count of the room. */
    public void offer(long address, int lengthBytes, int id) {
        MemorySegment entry = entries.asSlice((tail & mask) * ENTRY_BYTES, ENTRY_BYTES);
        io_uring_buf.addr(entry, address);
        io_uring_buf.len(entry, lengthBytes);
        io_uring_buf.bid(entry, (short) id);
        tail++;
    }

    /** Lends the kernel all that was offered. */
    public void publish() {
        SHORT.setRelease(entries, TAIL, tail);                         // release: the entries before the tail that covers them
    }

    /**
     * Whether the kernel has used up exactly so many buffers, and so much of the next. Asks it, so not for the hot path.
     *
     * @param buffers how many buffers the completions seen so far have used up
     * @param address where the first unused byte of the next one lies
     */
    public boolean agrees(int buffers, long address) {
        request.fill((byte) 0);
        io_uring_buf_status.buf_group(request, group);
        ring.register(io_uring_h.IORING_REGISTER_PBUF_STATUS(), request, 1);
        if ((short) io_uring_buf_status.head(request) != (short) buffers) return false;
        if ((short) buffers == tail) return true;                      // all used up: there is no next one
        return io_uring_buf.addr(entries.asSlice((buffers & mask) * ENTRY_BYTES, ENTRY_BYTES)) == address;
    }

    /** Takes everything back and starts empty. Only while no operation uses the group. */
    public void reset() {
        unregister();
        entries.fill((byte) 0);
        tail = 0;
        register();
    }

    /** Takes everything back. Only while no operation uses the group, or after the ring has been closed. */
    @Override
    public void close() {
        if (!arena.scope().isAlive()) return;
        // A closed ring has given the group up by itself, and its descriptor may be somebody else's by now.
        if (!ring.isClosed()) unregister();
        arena.close();
    }
}
