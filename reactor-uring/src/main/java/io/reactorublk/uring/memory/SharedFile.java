package io.reactorublk.uring.memory;

import io.reactorublk.uring.Errno;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.abi.linux_h;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;

/**
 * A file of {@code /dev/shm}, which is nothing but memory: whoever maps it has the same bytes before him as all others who do.
 * From then on it keeps its length, as if sealed ({@code F_SEAL_GROW}, {@code F_SEAL_SHRINK}): memory cannot grow where it is.
 */
final class SharedFile {

    private static final int PAGE_BYTES = 4096;

    /** Up to the end of its last page, where nothing but zeroes is to be read. */
    private MemorySegment memory = MemorySegment.NULL;
    private long lengthBytes;
    private boolean mapped;

    Description open(AddressSpace addresses, int flags) {
        if ((flags & linux_h.O_DIRECT()) != 0) throw new KernelException("open with O_DIRECT", Errno.EINVAL);
        if ((flags & linux_h.O_TRUNC()) != 0) KernelException.check("open with O_TRUNC", resize(0));
        return new Opened(addresses, flags);
    }

    /** Its memory belongs to whoever looks at it, so nobody frees it. */
    private int resize(long newLengthBytes) {
        if (newLengthBytes < 0) return Errno.EINVAL.result();
        if (newLengthBytes == lengthBytes) return 0;
        if (mapped) return Errno.EPERM.result();
        MemorySegment before = memory.asSlice(0, Math.min(lengthBytes, newLengthBytes));
        long pages = (newLengthBytes + PAGE_BYTES - 1) / PAGE_BYTES;
        memory = pages == 0 ? MemorySegment.NULL : Arena.ofAuto().allocate(pages * PAGE_BYTES, PAGE_BYTES);
        MemorySegment.copy(before, 0, memory, 0, before.byteSize());
        lengthBytes = newLengthBytes;
        return 0;
    }

    private final class Opened extends Description {

        private final AddressSpace addresses;

        Opened(AddressSpace addresses, int flags) {
            super(flags);
            this.addresses = addresses;
        }

        @Override
        int truncate(long length) {
            return opensForWriting() ? resize(length) : Errno.EINVAL.result();
        }

        @Override
        long size() {
            return lengthBytes;
        }

        /** From its start only. */
        @Override
        MemorySegment map(long offset, long length, Arena arena) {
            if (offset != 0 || length < 1 || length > memory.byteSize()) throw new KernelException("mmap", Errno.EINVAL);
            mapped = true;
            return addresses.map(memory, length, arena);
        }

        @Override
        int read(List<MemorySegment> pieces, long offset) {
            if (offset < 0) return Errno.EINVAL.result();
            if (offset >= lengthBytes) return 0;
            long at = offset;
            for (MemorySegment piece : pieces) {
                long part = Math.clamp(lengthBytes - at, 0, piece.byteSize());
                MemorySegment.copy(memory, at, piece, 0, part);
                at += part;
            }
            return (int) (at - offset);
        }

        @Override
        int write(List<MemorySegment> pieces, long offset, boolean durable) {
            if (offset < 0) return Errno.EINVAL.result();
            long end = offset + pieces.stream().mapToLong(MemorySegment::byteSize).sum();
            int refusal = end > lengthBytes ? resize(end) : 0;
            if (refusal < 0) return refusal;
            long at = offset;
            for (MemorySegment piece : pieces) {
                MemorySegment.copy(piece, 0, memory, at, piece.byteSize());
                at += piece.byteSize();
            }
            return (int) (at - offset);
        }

        @Override
        int sync() {
            return 0;
        }

        @Override
        int mode() {
            return linux_h.S_IFREG() | 0644;
        }
    }
}
