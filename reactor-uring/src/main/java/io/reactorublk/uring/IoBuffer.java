package io.reactorublk.uring;

import java.lang.foreign.MemorySegment;
import java.util.Objects;

/**
 * Memory that one operation reads or writes. A target sees only this, so the same code serves copied requests, whose bytes
 * it may look at, and zero-copy ones, whose bytes never enter the process.
 *
 * <p>Whoever starts an operation keeps the memory until the operation has ended, also when it was cancelled. A buffer whose
 * memory is somebody's only for a while has an {@link Owner}, who is told when operations on it start and end.
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

    /** Where it starts, as the kernel is told: a virtual address, or how many bytes after the start of a request's pages. */
    long address();

    /** Who is told of operations on it. */
    Owner owner();

    /** Memory the JVM can see. */
    static IoBuffer of(MemorySegment memory) {
        return new Segment(memory);
    }

    /**
     * Memory the JVM can see.
     *
     * @param memory off-heap, at most {@link Integer#MAX_VALUE} bytes, obtained from {@link Kernel#allocate} where the
     *     code should also run on an in-memory kernel
     * @param owner who is told of operations on it
     */
    record Segment(MemorySegment memory, Owner owner) implements IoBuffer {

        /** Memory that the caller keeps. */
        public Segment(MemorySegment memory) {
            this(memory, Owner.NOBODY);
        }

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
        public long address() {
            return memory.address();
        }

        @Override
        public IoBuffer slice(int offset, int length) {
            return offset == 0 && length == length() ? this : new Segment(memory.asSlice(offset, length), owner);
        }
    }

    /**
     * Memory registered with a ring, named by its index there. For a block request's own pages, which no process can address,
     * {@code address} counts from 0.
     *
     * @param ring whose table it is in; an operation on another ring would find something else there, and is refused
     * @param index its place in the ring's buffer table
     * @param address where it starts: a virtual address of registered memory, or an offset into a request's pages
     * @param length in bytes
     * @param owner who is told of operations on it
     */
    record Fixed(Ring ring, int index, long address, int length, Owner owner) implements IoBuffer {

        /** Memory that the caller keeps. */
        public Fixed(Ring ring, int index, long address, int length) {
            this(ring, index, address, length, Owner.NOBODY);
        }

        public Fixed {
            if (index < 0 || length < 1) {
                throw new IllegalArgumentException("a fixed buffer at index " + index + " of " + length + " bytes");
            }
        }

        @Override
        public IoBuffer slice(int offset, int length) {
            Objects.checkFromIndexSize(offset, length, this.length);
            return new Fixed(ring, index, address + offset, length, owner);
        }
    }

    /**
     * Pages of a driver's that are in no table yet: each operation puts them into the table of its own ring, is done, and
     * takes them out again, in one chain. So they can be used on any ring, at any time until their owner gives them up.
     *
     * @param registrar knows the driver's two commands
     * @param offset where this part starts, in bytes from the start of the pages
     * @param length in bytes
     */
    record Pages(Registrar registrar, int offset, int length) implements IoBuffer {

        public Pages {
            if (offset < 0 || length < 1) {
                throw new IllegalArgumentException(length + " bytes at " + offset + " of a driver's pages");
            }
        }

        @Override
        public IoBuffer slice(int offset, int length) {
            Objects.checkFromIndexSize(offset, length, this.length);
            return new Pages(registrar, this.offset + offset, length);
        }

        @Override
        public long address() {
            return offset;
        }

        @Override
        public Owner owner() {
            return registrar;
        }
    }

    /** Whose memory it is, if it is his only for a while. */
    interface Owner {

        /** The caller, who keeps it by himself. */
        Owner NOBODY = new Owner() {
            @Override
            public void begin() {}

            @Override
            public void end(IoBuffer part, int result, boolean cancelled) {}
        };

        /**
         * An operation is about to start. On its loop.
         *
         * @throws IllegalStateException if the memory is no longer there; the operation fails with that
         */
        void begin();

        /**
         * It has ended in the kernel, whether or not somebody still waits for it, or has not come there. On its loop, before
         * its subscriber hears of it.
         *
         * @param part what it was to read into, or to write
         * @param result how many bytes of that were done, or {@code -errno}
         * @param cancelled whether nobody waits for it any more
         */
        void end(IoBuffer part, int result, boolean cancelled);
    }

    /** How a driver's pages get into a ring's table of buffers and out of it: two commands to the driver. */
    interface Registrar extends Owner {

        /**
         * Writes the command that registers the pages at this index of the ring that the entry belongs to. On that ring's
         * thread, after {@link #begin}.
         */
        void register(Sqe sqe, int index);

        /** Writes the command that takes out what is registered at this index. On the same ring's thread. */
        void unregister(Sqe sqe, int index);
    }
}
