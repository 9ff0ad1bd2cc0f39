package io.reactorublk.uring.memory;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import io.reactorublk.uring.abi.io_cqring_offsets;
import io.reactorublk.uring.abi.io_sqring_offsets;
import io.reactorublk.uring.abi.io_uring_cqe;
import io.reactorublk.uring.abi.io_uring_params;
import java.lang.foreign.MemorySegment;

/**
 * Where things lie in the memory that both queues share, {@code struct io_rings}:
 *
 * <pre>
 *    0  sq head    4  sq tail    8  cq head   12  cq tail
 *   16  sq mask   20  cq mask   24  sq entries   28  cq entries
 *   32  sq dropped   36  sq flags   40  cq flags   44  cq overflow
 *   64  cqes[cq entries], then the array of sq entries
 * </pre>
 */
record RingLayout(int sqEntries, int cqEntries) {

    static final long SQ_HEAD = 0;
    static final long SQ_TAIL = 4;
    static final long CQ_HEAD = 8;
    static final long CQ_TAIL = 12;
    static final long SQ_FLAGS = 36;

    private static final long SQ_MASK = 16;
    private static final long CQ_MASK = 20;
    private static final long SQ_ENTRIES = 24;
    private static final long CQ_ENTRIES = 28;
    private static final long SQ_DROPPED = 32;
    private static final long CQ_FLAGS = 40;
    private static final long CQ_OVERFLOW = 44;
    private static final long CQES = 64;

    long cqes() {
        return CQES;
    }

    long array() {
        return CQES + cqEntries * io_uring_cqe.layout().byteSize();
    }

    long lengthBytes() {
        return array() + (long) Integer.BYTES * sqEntries;
    }

    /** What the process reads in the memory itself. */
    void initialize(MemorySegment rings) {
        rings.set(JAVA_INT, SQ_MASK, sqEntries - 1);
        rings.set(JAVA_INT, CQ_MASK, cqEntries - 1);
        rings.set(JAVA_INT, SQ_ENTRIES, sqEntries);
        rings.set(JAVA_INT, CQ_ENTRIES, cqEntries);
    }

    /** What the process is told when the ring is set up. */
    void describe(MemorySegment params) {
        io_uring_params.sq_entries(params, sqEntries);
        io_uring_params.cq_entries(params, cqEntries);
        MemorySegment sq = io_uring_params.sq_off(params);
        io_sqring_offsets.head(sq, (int) SQ_HEAD);
        io_sqring_offsets.tail(sq, (int) SQ_TAIL);
        io_sqring_offsets.ring_mask(sq, (int) SQ_MASK);
        io_sqring_offsets.ring_entries(sq, (int) SQ_ENTRIES);
        io_sqring_offsets.flags(sq, (int) SQ_FLAGS);
        io_sqring_offsets.dropped(sq, (int) SQ_DROPPED);
        io_sqring_offsets.array(sq, (int) array());
        MemorySegment cq = io_uring_params.cq_off(params);
        io_cqring_offsets.head(cq, (int) CQ_HEAD);
        io_cqring_offsets.tail(cq, (int) CQ_TAIL);
        io_cqring_offsets.ring_mask(cq, (int) CQ_MASK);
        io_cqring_offsets.ring_entries(cq, (int) CQ_ENTRIES);
        io_cqring_offsets.overflow(cq, (int) CQ_OVERFLOW);
        io_cqring_offsets.cqes(cq, (int) CQES);
        io_cqring_offsets.flags(cq, (int) CQ_FLAGS);
    }
}
