package io.reactorublk.uring.memory;

import io.reactorublk.uring.Errno;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.abi.io_uring_h;
import java.lang.foreign.MemorySegment;
import java.util.List;

/** {@code IORING_OP_READ_MULTISHOT}: reads whenever there is something, into memory of a group, until none is lent. */
final class MultishotRead extends Operation {

    private final Runnable woken = this::wake;
    private boolean pollable;

    MultishotRead(MemoryRing ring, Entry entry) {
        super(ring, entry);
    }

    @Override
    void issue() {
        if (!entry.has(io_uring_h.IOSQE_BUFFER_SELECT())) throw new KernelException("read", Errno.EINVAL);
        Description file = file();
        if (!file.opensForReading()) throw new KernelException("read", Errno.EBADF);
        pollable = file.readable() != null;
        if (!pollable) throw new KernelException("read", Errno.EBADFD);
        readOn();
    }

    private void wake() {
        ring.addTaskWork(this::readOn);
    }

    private void readOn() {
        if (hasEnded()) return;
        while (readOnce()) {
            // Until nothing is left to read, or nothing to read it into.
        }
    }

    /** Mirrors {@code io_read_mshot}: the buffer is chosen before it is known whether there is anything to read. */
    private boolean readOnce() {
        ProvidedBuffers group;
        MemorySegment buffer;
        try {
            group = ring.group(entry.bufIndex);
            buffer = group.select();
        } catch (KernelException e) {
            return last(e.errno().result(), 0);
        }
        if (buffer == null) return last(Errno.ENOBUFS.result(), 0);
        int result = file().read(List.of(buffer), entry.off);
        if (result == Description.AGAIN) {
            queue().add(woken);
            return false;
        }
        if (result <= 0) return last(result, 0);
        int flags = group.consume(result);
        // Where there is no room for one completion more, this is the last one: that one is kept.
        return ring.postMore(this, result, flags) || last(result, flags);
    }

    private boolean last(int result, int flags) {
        end(result, flags);
        return false;
    }

    private WaitQueue queue() {
        WaitQueue queue = file().readable();
        if (queue == null) throw new KernelException("read", Errno.EBADFD);
        return queue;
    }

    @Override
    boolean cancel() {
        if (hasEnded()) return false;
        end(ECANCELED);
        return true;
    }

    @Override
    void completed() {
        if (pollable) queue().remove(woken);
        super.completed();
    }
}
