package io.reactorublk.uring.memory;

import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;

import io.reactorublk.uring.Errno;
import io.reactorublk.uring.abi.linux_h;
import java.lang.foreign.MemorySegment;
import java.util.List;

/** {@code eventfd(2)}: a number that is added to, and read as a whole. */
final class EventCounter extends Description {

    private final WaitQueue readers = new WaitQueue();
    private long count;

    EventCounter() {
        super(linux_h.O_RDWR());
    }

    void add(long value) {
        count += value;
        if (count > 0) readers.wake();
    }

    @Override
    WaitQueue readable() {
        return readers;
    }

    @Override
    int read(List<MemorySegment> pieces, long offset) {
        if (pieces.getFirst().byteSize() < Long.BYTES) return Errno.EINVAL.result();
        if (count == 0) return AGAIN;
        pieces.getFirst().set(JAVA_LONG_UNALIGNED, 0, count);
        count = 0;
        return Long.BYTES;
    }

    @Override
    int write(List<MemorySegment> pieces, long offset, boolean durable) {
        if (pieces.getFirst().byteSize() < Long.BYTES) return Errno.EINVAL.result();
        add(pieces.getFirst().get(JAVA_LONG_UNALIGNED, 0));
        return Long.BYTES;
    }

    @Override
    int mode() {
        return 0600;
    }
}
