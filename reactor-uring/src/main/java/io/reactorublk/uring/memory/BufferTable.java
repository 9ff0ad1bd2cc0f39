package io.reactorublk.uring.memory;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.reactorublk.uring.Errno;
import io.reactorublk.uring.KernelException;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/** The buffers registered with a ring: memory of the process, or pages that a driver lends. */
final class BufferTable {

    /** One buffer. It outlives its place in the table while an operation uses it. */
    static final class Buffer {

        private final MemorySegment memory;
        private final long base;
        /** Of pages that a driver lends; memory of the process may be used either way. */
        private final CharacterDevice.@Nullable Direction direction;
        private final Runnable released;
        private int references = 1;

        Buffer(MemorySegment memory, long base, CharacterDevice.@Nullable Direction direction, Runnable released) {
            this.memory = memory;
            this.base = base;
            this.direction = direction;
            this.released = released;
        }

        /** {@code io_import_fixed}: a part of it, to be read from or written to. */
        MemorySegment at(long address, long lengthBytes, CharacterDevice.Direction use) {
            long offset = address - base;
            if (offset < 0 || offset > memory.byteSize() - lengthBytes || !memory.scope().isAlive()) throw fault();
            if (isOfDriver() && direction != use) throw fault();
            return memory.asSlice(offset, lengthBytes);
        }

        boolean isOfDriver() {
            return direction != null;
        }

        void hold() {
            references++;
        }

        void drop() {
            if (--references == 0) released.run();
        }
    }

    private final AddressSpace memory;
    private @Nullable Buffer @Nullable [] table;

    BufferTable(AddressSpace memory) {
        this.memory = memory;
    }

    void register(int count) {
        if (table != null) throw new KernelException("io_uring_register", Errno.EBUSY);
        table = new @Nullable Buffer[count];
    }

    void unregister() {
        if (table == null) throw new KernelException("io_uring_register", Errno.ENXIO);
        clear();
        table = null;
    }

    /** Puts {@code struct iovec}s into the table; an empty one takes a buffer out. */
    void update(int first, int count, MemorySegment vector) {
        @Nullable Buffer[] places = table();
        if (first < 0 || count < 0 || first > places.length - count) {
            throw new KernelException("io_uring_register", Errno.EINVAL);
        }
        for (int i = 0; i < count; i++) {
            long address = vector.getAtIndex(JAVA_LONG, 2L * i);
            long length = vector.getAtIndex(JAVA_LONG, 2L * i + 1);
            Buffer buffer = address == 0 && length == 0
                    ? null : new Buffer(memory.at(address, length), address, null, () -> {});
            replace(places, first + i, buffer);
        }
    }

    /** {@code io_buffer_register_bvec}. */
    int lend(int index, MemorySegment pages, CharacterDevice.Direction direction, Runnable released) {
        if (table == null || index < 0 || index >= table.length) return Errno.EINVAL.result();
        if (table[index] != null) return Errno.EBUSY.result();
        table[index] = new Buffer(pages, 0, direction, released);
        return 0;
    }

    /** {@code io_buffer_unregister_bvec}. */
    int takeBack(int index) {
        if (table == null || index < 0 || index >= table.length) return Errno.EINVAL.result();
        Buffer buffer = table[index];
        if (buffer == null) return Errno.EINVAL.result();
        if (!buffer.isOfDriver()) return Errno.EBUSY.result();
        replace(table, index, null);
        return 0;
    }

    /**
     * The buffer an operation names.
     *
     * @throws KernelException EFAULT, if there is none
     */
    Buffer get(int index) {
        Buffer buffer = table == null || index >= table.length ? null : table[index];
        if (buffer == null) throw fault();
        return buffer;
    }

    void clear() {
        if (table == null) return;
        for (int i = 0; i < table.length; i++) replace(table, i, null);
    }

    private static void replace(@Nullable Buffer[] places, int index, @Nullable Buffer buffer) {
        Buffer old = places[index];
        places[index] = buffer;
        if (old != null) old.drop();
    }

    private @Nullable Buffer[] table() {
        if (table == null) throw new KernelException("io_uring_register", Errno.ENXIO);
        return table;
    }

    private static KernelException fault() {
        return new KernelException("registered buffer", Errno.EFAULT);
    }
}
