package io.reactorublk.uring.memory;

import io.reactorublk.uring.Errno;
import io.reactorublk.uring.KernelException;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The process's table of open files. */
final class Descriptors {

    /** After standard input, output and error. */
    private static final int FIRST = 3;

    private final List<@Nullable Description> table = new ArrayList<>();
    private int count;

    /** The lowest number that is free, as POSIX promises: a number is used again as soon as it can be. */
    int add(Description description) {
        int place = table.indexOf(null);
        if (place < 0) {
            place = table.size();
            table.add(null);
        }
        description.hold();
        table.set(place, description);
        count++;
        return FIRST + place;
    }

    /**
     * What a descriptor refers to.
     *
     * @throws KernelException EBADF, if it refers to nothing
     */
    Description get(int fd) {
        Description description = fd < FIRST || fd - FIRST >= table.size() ? null : table.get(fd - FIRST);
        if (description == null) throw new KernelException("descriptor " + fd, Errno.EBADF);
        return description;
    }

    void close(int fd) {
        Description description = get(fd);
        table.set(fd - FIRST, null);
        count--;
        description.drop();
    }

    /** How many are open. */
    int count() {
        return count;
    }

    /** The end of the process. */
    void closeAll() {
        for (int place = 0; place < table.size(); place++) {
            if (table.get(place) != null) close(FIRST + place);
        }
    }
}
