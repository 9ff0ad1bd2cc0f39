package io.reactorublk.uring.memory;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.reactorublk.uring.Errno;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.abi.io_uring_h;
import io.reactorublk.uring.abi.linux_h;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Reads and writes of every kind that end with one completion. */
final class Transfer extends Operation {

    private static final int MAX_PIECES = 1024;

    private final boolean write;
    private final Runnable woken = this::wake;
    private List<MemorySegment> pieces = List.of();
    private BufferTable.@Nullable Buffer registered;
    private @Nullable ProvidedBuffers lent;
    /** What to wait for; null where nothing is waited for. */
    private @Nullable WaitQueue queue;
    private long wanted;

    Transfer(MemoryRing ring, Entry entry) {
        super(ring, entry);
        write = entry.opcode == io_uring_h.IORING_OP_WRITE() || entry.opcode == io_uring_h.IORING_OP_WRITEV()
                || entry.opcode == io_uring_h.IORING_OP_WRITE_FIXED();
    }

    @Override
    void issue() {
        Description file = file();
        if (write ? !file.opensForWriting() : !file.opensForReading()) throw new KernelException("rw", Errno.EBADF);
        queue = write ? file.writable() : file.readable();
        pieces = pieces();
        for (MemorySegment piece : pieces) wanted += piece.byteSize();
        ring.kernel().onDisk(file, this::attempt);
    }

    private List<MemorySegment> pieces() {
        int opcode = entry.opcode;
        if (opcode == io_uring_h.IORING_OP_READ_FIXED() || opcode == io_uring_h.IORING_OP_WRITE_FIXED()) {
            registered = ring.buffers().get(entry.bufIndex);
            registered.hold();
            CharacterDevice.Direction use = write ? CharacterDevice.Direction.SOURCE : CharacterDevice.Direction.DESTINATION;
            MemorySegment memory = registered.at(entry.addr, Integer.toUnsignedLong(entry.len), use);
            if (!file().takesRegisteredMemory()) throw new KernelException("rw", Errno.EACCES);
            return List.of(memory);
        }
        if (opcode == io_uring_h.IORING_OP_READV() || opcode == io_uring_h.IORING_OP_WRITEV()) return vector();
        if (entry.has(io_uring_h.IOSQE_BUFFER_SELECT())) return List.of(select());
        return List.of(ring.kernel().memory(entry.addr, Integer.toUnsignedLong(entry.len)));
    }

    private List<MemorySegment> vector() {
        if (entry.len < 0 || entry.len > MAX_PIECES) throw new KernelException("rw", Errno.EINVAL);
        MemorySegment vector = ring.kernel().memory(entry.addr, 2L * Long.BYTES * entry.len);
        List<MemorySegment> found = new ArrayList<>(entry.len);
        for (int i = 0; i < entry.len; i++) {
            found.add(ring.kernel().memory(vector.getAtIndex(JAVA_LONG, 2L * i), vector.getAtIndex(JAVA_LONG, 2L * i + 1)));
        }
        return found;
    }

    private MemorySegment select() {
        ProvidedBuffers group = ring.group(entry.bufIndex);
        MemorySegment buffer = group.select();
        if (buffer == null) throw new KernelException("rw", Errno.ENOBUFS);
        lent = group;
        long length = Integer.toUnsignedLong(entry.len);
        return length == 0 ? buffer : buffer.asSlice(0, Math.min(length, buffer.byteSize()));
    }

    private void wake() {
        ring.addTaskWork(this::attempt);
    }

    private void attempt() {
        if (hasEnded()) return;
        int result;
        try {
            result = write
                    ? file().write(pieces, entry.off, (entry.opFlags & linux_h.RWF_DSYNC()) != 0)
                    : file().read(pieces, entry.off);
        } catch (IllegalStateException e) {                            // its arena was closed under the operation
            result = Errno.EFAULT.result();
        }
        if (result == Description.AGAIN && queue != null) {
            queue.add(woken);
        } else {
            end(result, lent == null || result <= 0 ? 0 : lent.consume(result));
        }
    }

    @Override
    boolean fails(int result) {
        return result != wanted;                                       // a short count breaks a chain, too
    }

    /** What waits for data can be cancelled; what a disk has begun cannot. */
    @Override
    boolean cancel() {
        if (hasEnded() || queue == null) return false;
        end(ECANCELED);
        return true;
    }

    @Override
    void completed() {
        if (queue != null) queue.remove(woken);
        super.completed();
        if (registered != null) registered.drop();
        registered = null;
    }
}
