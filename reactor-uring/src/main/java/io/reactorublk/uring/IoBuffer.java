package io.reactorublk.uring;

import java.lang.foreign.MemorySegment;
import java.util.Objects;

/**
 * Memory that one operation reads or writes. A target sees only this, so the same code serves copied requests, whose bytes
 * it may look at, and zero-copy ones, whose bytes never enter the process.
 *
 * <p>Whoever starts an operation owns the memory and keeps it until the operation has ended, also when it was cancelled.
 */
public sealed interface IoBuffer {

    /** How many bytes there are, at least 1. */
    int length();

    /**
     * A part of this buffer.
     *
     * @throws IndexOutOfBoundsException if it is not within it
     */
    IoBuffer slice(int offset, int length);

    /** Memory the JVM can see. */
    static IoBuffer of(MemorySegment memory) {
        return new Segment(memory);
    }

    /**
     * Memory the JVM can see.
     *
     * @param memory off-heap, at most {@link Integer#MAX_VALUE} bytes, obtained from {@link Kernel#allocate} where the
     *     code should also run on an in-memory kernel
     */
    record Segment(MemorySegment memory) implements IoBuffer {

        public Segment {
            if (!memory.isNative()) {
                throw new IllegalArgumentException("the kernel cannot reach memory on the heap; allocate it off-heap");
            }
            if (memory.byteSize() < 1 || memory.byteSize() > Integer.MAX_VALUE) {
                throw new IllegalArgumentException("a buffer of " + memory.byteSize() + " bytes: from 1 to "
                        + Integer.MAX_VALUE + " are possible");
            }
        }

        @Override
        public int length() {
            return (int) memory.byteSize();
        }

        @Override
        public IoBuffer slice(int offset, int length) {
            return offset == 0 && length == length() ? this : new Segment(memory.asSlice(offset, length));
        }
    }

    /**
     * Memory registered with the ring, named by its index. For a block request's own pages, which no process can address,
     * {@code address} counts from 0.
     *
     * @param index its place in the ring's buffer table
     * @param address where it starts: a virtual address of registered memory, or an offset into a request's pages
     * @param length in bytes
     */
    record Fixed(int index, long address, int length) implements IoBuffer {

        public Fixed {
            if (index < 0 || length < 1) {
                throw new IllegalArgumentException("a fixed buffer at index " + index + " of " + length + " bytes");
            }
        }

        @Override
        public IoBuffer slice(int offset, int length) {
            Objects.checkFromIndexSize(offset, length, this.length);
            return new Fixed(index, address + offset, length);
        }
    }
}
