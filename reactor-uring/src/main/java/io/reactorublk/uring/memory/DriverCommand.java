package io.reactorublk.uring.memory;

import io.reactorublk.uring.Errno;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.abi.io_uring_h;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * {@code IORING_OP_URING_CMD}: what it means, the driver knows. The end of the ring cancels it; a request to cancel reaches
 * only what a worker does, whose wait it interrupts.
 */
final class DriverCommand extends Operation implements CharacterDevice.Command {

    private @Nullable Runnable cancelled;
    private boolean isWorkers;
    private boolean abandoned;

    DriverCommand(MemoryRing ring, Entry entry) {
        super(ring, entry);
    }

    @Override
    void issue() {
        if (!(file() instanceof OpenDevice device)) throw new KernelException("uring_cmd", Errno.EOPNOTSUPP);
        if (isMultishot() != entry.has(io_uring_h.IOSQE_BUFFER_SELECT())) {
            throw new KernelException("uring_cmd", Errno.EINVAL);
        }
        device.command(this);
    }

    /** A command parked in the driver is not. */
    @Override
    boolean isWithinReach() {
        return isWorkers;
    }

    /** {@code io_wq_cancel_cb}: a signal for the worker. */
    @Override
    boolean cancel() {
        if (isWorkers && !hasEnded() && cancelled != null) cancelled.run();
        return isWorkers && hasEnded();
    }

    /** A driver that asked to be told gives it up; of another, the ring waits for the answer, and the file stays open. */
    @Override
    void abandon() {
        abandoned = true;
        if (hasEnded()) {
            super.abandon();
        } else if (cancelled != null) {
            cancelled.run();
            super.abandon();
        }
    }

    @Override
    public int operation() {
        return entry.commandOp;
    }

    @Override
    public MemorySegment payload() {
        return entry.payload;
    }

    @Override
    public long address() {
        return entry.addr;
    }

    @Override
    public int length() {
        return entry.len;
    }

    @Override
    public MemorySegment memory(long address, long length) {
        return ring.kernel().memory(address, length);
    }

    @Override
    public void complete(int result) {
        end(result);
    }

    @Override
    public boolean isMultishot() {
        return entry.hasOpFlag(io_uring_h.IORING_URING_CMD_MULTISHOT());
    }

    @Override
    public @Nullable MemorySegment selectBuffer() {
        return ring.group(entry.bufIndex).select();
    }

    @Override
    public boolean post(int bytes) {
        return ring.postMore(this, bytes, ring.group(entry.bufIndex).consume(bytes));
    }

    @Override
    public void onCancel(Runnable cancelled) {
        this.cancelled = cancelled;
        if (abandoned) cancelled.run();                                // a worker of a dead process: its signal is there already
    }

    @Override
    public void inTaskWork(Runnable work) {
        ring.addTaskWork(work);
    }

    @Override
    public void later(Runnable work) {
        isWorkers = true;
        ring.kernel().agenda().soon(work);
    }

    @Override
    public int registerBuffer(int index, MemorySegment pages, CharacterDevice.Direction direction, Runnable released) {
        return ring.buffers().lend(index, pages, direction, released);
    }

    @Override
    public int unregisterBuffer(int index) {
        return ring.buffers().takeBack(index);
    }

    @Override
    public Object ring() {
        return ring;
    }
}
