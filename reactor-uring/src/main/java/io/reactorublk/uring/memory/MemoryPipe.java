package io.reactorublk.uring.memory;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import io.reactorublk.uring.Errno;
import java.lang.foreign.MemorySegment;
import java.util.List;

/** A pipe: a circle of bytes, and who waits at either end of it. */
final class MemoryPipe {

    private static final int CAPACITY_BYTES = 64 * 1024;

    private final byte[] bytes = new byte[CAPACITY_BYTES];
    private final WaitQueue readers = new WaitQueue();
    private final WaitQueue writers = new WaitQueue();
    private int start;
    private int length;
    private int openForReading;
    private int openForWriting;
    private boolean everWritten;

    Description open(int flags) {
        return new End(flags);
    }

    /** One open file. */
    private final class End extends Description {

        End(int flags) {
            super(flags);
            if (opensForReading()) openForReading++;
            if (opensForWriting()) openForWriting++;
            everWritten |= opensForWriting();
        }

        @Override
        void released() {
            if (opensForReading()) openForReading--;
            if (opensForWriting()) openForWriting--;
            readers.wake();                                            // the end of the file, perhaps
            writers.wake();
        }

        @Override
        WaitQueue readable() {
            return readers;
        }

        @Override
        WaitQueue writable() {
            return writers;
        }

        @Override
        int read(List<MemorySegment> pieces, long offset) {
            if (length == 0) return openForWriting == 0 && everWritten ? 0 : AGAIN;
            int done = 0;
            for (MemorySegment piece : pieces) done += take(piece);
            writers.wake();
            return done;
        }

        @Override
        int write(List<MemorySegment> pieces, long offset, boolean durable) {
            if (openForReading == 0) return Errno.EPIPE.result();
            if (length == CAPACITY_BYTES) return AGAIN;
            int done = 0;
            for (MemorySegment piece : pieces) done += put(piece);
            readers.wake();
            return done;
        }

        @Override
        int allocate(int mode, long offset, long lengthBytes) {
            return Errno.ESPIPE.result();
        }

        @Override
        int advise(int advice) {
            return Errno.ESPIPE.result();
        }

        @Override
        int mode() {
            return S_IFIFO | 0600;
        }
    }

    private int take(MemorySegment into) {
        int count = (int) Math.min(into.byteSize(), length);
        int first = Math.min(count, CAPACITY_BYTES - start);
        MemorySegment.copy(bytes, start, into, JAVA_BYTE, 0, first);
        MemorySegment.copy(bytes, 0, into, JAVA_BYTE, first, count - first);
        start = (start + count) % CAPACITY_BYTES;
        length -= count;
        return count;
    }

    private int put(MemorySegment from) {
        int count = (int) Math.min(from.byteSize(), CAPACITY_BYTES - length);
        int end = (start + length) % CAPACITY_BYTES;
        int first = Math.min(count, CAPACITY_BYTES - end);
        MemorySegment.copy(from, JAVA_BYTE, 0, bytes, end, first);
        MemorySegment.copy(from, JAVA_BYTE, first, bytes, 0, count - first);
        length += count;
        return count;
    }
}
