package io.reactorublk.samples.mapped;

import java.util.BitSet;
import java.util.Map;

/**
 * Which extent of a volume lies where in the data file, on a disk. Everything in it may block. {@link #commit} and
 * {@link #close} are called by one thread at a time.
 */
interface ExtentStore extends AutoCloseable {

    /** In place of a physical extent: there is none. */
    int NONE = -1;

    /** The physical extent of a logical one, or {@link #NONE}. Any thread that may block. */
    int lookUp(int logical);

    /** The physical extents that have an owner. */
    BitSet used();

    /**
     * Records changes: after a crash at any time all of them are there or none is, and all if this has returned. After an
     * exception it must not be tried again.
     *
     * @param changes from logical to physical extents, or to {@link #NONE}
     */
    void commit(Map<Integer, Integer> changes);

    @Override
    void close();
}
