package io.reactorublk.uring.memory;

import io.reactorublk.uring.Errno;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.abi.io_uring_h;
import io.reactorublk.uring.abi.linux_h;
import io.reactorublk.uring.abi.statx;
import java.lang.foreign.MemorySegment;
import java.util.function.IntSupplier;

/** What a thread would do with a file by a system call of its own: open, sync, allocate, advise, ask, close. */
final class FileCall extends Operation {

    FileCall(MemoryRing ring, Entry entry) {
        super(ring, entry);
    }

    @Override
    void issue() {
        MemoryKernel kernel = ring.kernel();
        int opcode = entry.opcode;
        if (opcode == io_uring_h.IORING_OP_FSYNC()) {
            Description file = file();
            kernel.onDisk(file, () -> run(file::sync));
        } else if (opcode == io_uring_h.IORING_OP_FALLOCATE()) {
            Description file = file();
            if (!file.opensForWriting()) throw new KernelException("fallocate", Errno.EBADF);
            kernel.onDisk(file, () -> run(() -> file.allocate(entry.len, entry.off, entry.addr)));
        } else if (opcode == io_uring_h.IORING_OP_FADVISE()) {
            Description file = file();
            kernel.maybeLater(() -> run(() -> file.advise(entry.opFlags)));
        } else if (opcode == io_uring_h.IORING_OP_OPENAT()) {
            String path = kernel.path(entry.fd, entry.addr);
            kernel.maybeLater(() -> run(() -> kernel.open(path, entry.opFlags, entry.len)));
        } else if (opcode == io_uring_h.IORING_OP_CLOSE()) {
            kernel.maybeLater(() -> run(() -> {
                kernel.close(entry.fd);
                return 0;
            }));
        } else {
            kernel.maybeLater(() -> run(this::status));
        }
    }

    private int status() {
        MemoryKernel kernel = ring.kernel();
        MemorySegment status = kernel.memory(entry.off, statx.layout().byteSize());
        String path = kernel.string(entry.addr);
        if (path.isEmpty()) {
            if (!entry.hasOpFlag(linux_h.AT_EMPTY_PATH())) return Errno.ENOENT.result();
            kernel.descriptors().get(entry.fd).status(status);
        } else {
            Description file = kernel.files().open(kernel.path(entry.fd, entry.addr), linux_h.O_RDONLY());
            file.hold();
            file.status(status);
            file.drop();
        }
        return 0;
    }

    private void run(IntSupplier call) {
        if (hasEnded()) return;
        try {
            end(call.getAsInt());
        } catch (KernelException e) {
            end(e.errno().result());
        }
    }
}
