package io.reactorublk.uring.memory;

import io.reactorublk.uring.Errno;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.abi.io_uring_buf_reg;
import io.reactorublk.uring.abi.io_uring_buf_status;
import io.reactorublk.uring.abi.io_uring_h;
import io.reactorublk.uring.abi.io_uring_probe;
import io.reactorublk.uring.abi.io_uring_probe_op;
import io.reactorublk.uring.abi.io_uring_rsrc_register;
import io.reactorublk.uring.abi.io_uring_rsrc_update2;
import java.lang.foreign.MemorySegment;

/** {@code io_uring_register(2)}: what each of its opcodes does to a ring. */
final class Registration {

    private static final int MAX_GROUP_ENTRIES = 32_768;
    private static final int IOVEC_BYTES = 2 * Long.BYTES;

    private final MemoryRing ring;
    private final MemorySegment argument;
    private final int count;

    Registration(MemoryRing ring, MemorySegment argument, int count) {
        this.ring = ring;
        this.argument = argument;
        this.count = count;
    }

    void execute(int opcode) {
        if (opcode == io_uring_h.IORING_REGISTER_ENABLE_RINGS()) ring.enable();
        else if (opcode == io_uring_h.IORING_REGISTER_PROBE()) probe();
        else if (opcode == io_uring_h.IORING_REGISTER_FILES2()) registerFiles();
        else if (opcode == io_uring_h.IORING_REGISTER_FILES_UPDATE2()) updateFiles();
        else if (opcode == io_uring_h.IORING_UNREGISTER_FILES()) ring.files().unregister();
        else if (opcode == io_uring_h.IORING_REGISTER_BUFFERS2()) registerBuffers();
        else if (opcode == io_uring_h.IORING_REGISTER_BUFFERS_UPDATE()) updateBuffers();
        else if (opcode == io_uring_h.IORING_UNREGISTER_BUFFERS()) ring.buffers().unregister();
        else if (opcode == io_uring_h.IORING_REGISTER_PBUF_RING()) registerGroup();
        else if (opcode == io_uring_h.IORING_UNREGISTER_PBUF_RING()) unregisterGroup();
        else if (opcode == io_uring_h.IORING_REGISTER_PBUF_STATUS()) groupStatus();
        else if (opcode != io_uring_h.IORING_REGISTER_IOWQ_MAX_WORKERS()) throw refused(Errno.EINVAL);
        // Of workers there is no end here.
    }

    private void probe() {
        int last = 0;
        long opBytes = io_uring_probe_op.layout().byteSize();
        for (int opcode = 0; opcode < count; opcode++) {
            if (!Operations.knows(opcode)) continue;
            last = opcode;
        }
        for (int opcode = 0; opcode <= last; opcode++) {
            MemorySegment op = argument.asSlice(io_uring_probe.layout().byteSize() + opcode * opBytes, opBytes);
            io_uring_probe_op.op(op, (byte) opcode);
            io_uring_probe_op.flags(op, (short) (Operations.knows(opcode) ? io_uring_h.IO_URING_OP_SUPPORTED() : 0));
        }
        io_uring_probe.last_op(argument, (byte) last);
        io_uring_probe.ops_len(argument, (byte) (last + 1));
    }

    private void registerFiles() {
        int places = io_uring_rsrc_register.nr(argument);
        ring.files().register(places);
        if (isSparse()) return;
        ring.files().update(0, places, memory(io_uring_rsrc_register.data(argument), (long) Integer.BYTES * places));
    }

    private void registerBuffers() {
        int places = io_uring_rsrc_register.nr(argument);
        ring.buffers().register(places);
        if (isSparse()) return;
        ring.buffers().update(0, places, memory(io_uring_rsrc_register.data(argument), (long) IOVEC_BYTES * places));
    }

    private boolean isSparse() {
        return (io_uring_rsrc_register.flags(argument) & io_uring_h.IORING_RSRC_REGISTER_SPARSE()) != 0;
    }

    private void updateFiles() {
        int places = io_uring_rsrc_update2.nr(argument);
        ring.files().update(io_uring_rsrc_update2.offset(argument), places,
                memory(io_uring_rsrc_update2.data(argument), (long) Integer.BYTES * places));
    }

    private void updateBuffers() {
        int places = io_uring_rsrc_update2.nr(argument);
        ring.buffers().update(io_uring_rsrc_update2.offset(argument), places,
                memory(io_uring_rsrc_update2.data(argument), (long) IOVEC_BYTES * places));
    }

    private void registerGroup() {
        int entries = io_uring_buf_reg.ring_entries(argument);
        int flags = Short.toUnsignedInt(io_uring_buf_reg.flags(argument));
        if (entries < 1 || entries > MAX_GROUP_ENTRIES || Integer.bitCount(entries) != 1) throw refused(Errno.EINVAL);
        if ((flags & ~io_uring_h.IOU_PBUF_RING_INC()) != 0) throw refused(Errno.EINVAL);
        if (ring.groups().containsKey(group())) throw refused(Errno.EEXIST);
        ring.groups().put(group(), new ProvidedBuffers(ring.kernel().addresses(), io_uring_buf_reg.ring_addr(argument),
                entries, (flags & io_uring_h.IOU_PBUF_RING_INC()) != 0));
    }

    private void unregisterGroup() {
        if (ring.groups().remove(group()) == null) throw refused(Errno.ENOENT);
    }

    private int group() {
        return Short.toUnsignedInt(io_uring_buf_reg.bgid(argument));
    }

    private void groupStatus() {
        ProvidedBuffers group = ring.groups().get(io_uring_buf_status.buf_group(argument));
        if (group == null) throw refused(Errno.ENOENT);
        io_uring_buf_status.head(argument, group.head());
    }

    private MemorySegment memory(long address, long lengthBytes) {
        return ring.kernel().memory(address, lengthBytes);
    }

    private static KernelException refused(Errno errno) {
        return new KernelException("io_uring_register", errno);
    }
}
