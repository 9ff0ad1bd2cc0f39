package io.reactorublk.uring.memory;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import io.reactorublk.uring.Errno;
import io.reactorublk.uring.KernelException;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/** The files registered with a ring, which keeps them open. */
final class FileTable {

    private static final int NO_FILE = -1;

    private final Descriptors descriptors;
    private @Nullable Description @Nullable [] table;

    FileTable(Descriptors descriptors) {
        this.descriptors = descriptors;
    }

    void register(int count) {
        if (table != null) throw new KernelException("io_uring_register", Errno.EBUSY);
        table = new @Nullable Description[count];
    }

    void unregister() {
        if (table == null) throw new KernelException("io_uring_register", Errno.ENXIO);
        clear();
        table = null;
    }

    /** Puts descriptors into the table; -1 takes a file out. */
    void update(int first, int count, MemorySegment numbers) {
        if (table == null) throw new KernelException("io_uring_register", Errno.ENXIO);
        if (first < 0 || count < 0 || first > table.length - count) {
            throw new KernelException("io_uring_register", Errno.EINVAL);
        }
        for (int i = 0; i < count; i++) {
            int fd = numbers.getAtIndex(JAVA_INT, i);
            replace(table, first + i, fd == NO_FILE ? null : descriptors.get(fd));
        }
    }

    /**
     * The file at a place.
     *
     * @throws KernelException EBADF, if there is none
     */
    Description get(int index) {
        Description file = table == null || index < 0 || index >= table.length ? null : table[index];
        if (file == null) throw new KernelException("registered file " + index, Errno.EBADF);
        return file;
    }

    void clear() {
        if (table == null) return;
        for (int i = 0; i < table.length; i++) replace(table, i, null);
    }

    private static void replace(@Nullable Description[] places, int index, @Nullable Description file) {
        if (file != null) file.hold();
        Description old = places[index];
        places[index] = file;
        if (old != null) old.drop();
    }
}
