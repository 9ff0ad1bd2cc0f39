package io.reactorublk;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.reactorublk.abi.ublk_cmd_h;
import io.reactorublk.abi.ublksrv_io_desc;
import io.reactorublk.uring.Kernel;
import io.reactorublk.uring.abi.linux_h;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * The driver's 24 bytes about each request of a queue, in a mapping that only the driver writes:
 *
 * <pre>
 *    0  op_flags u32      operation in bits 0-7, flags above
 *    4  nr_sectors u32
 *    8  start_sector u64
 *   16  addr u64          where the driver copied to, as we told it; or which shared memory
 * </pre>
 *
 * A descriptor is valid from the delivery of its tag to the commit; the completion queue's acquire orders the reads.
 * Mirrors {@code struct ublksrv_io_desc} and {@code ublk_ch_mmap}.
 */
final class IoDescriptors {

    private static final long BYTES = ublksrv_io_desc.layout().byteSize();
    private static final long OP_FLAGS = ublksrv_io_desc.op_flags$offset();
    private static final long SECTORS = ublksrv_io_desc.nr_sectors$offset();
    private static final long START = ublksrv_io_desc.start_sector$offset();
    private static final long ADDRESS = ublksrv_io_desc.addr$offset();
    private static final long PAGE = 4096;
    private static final long NO_SECTOR = -1;

    private final MemorySegment mapping;

    IoDescriptors(Kernel kernel, int charDevice, int queueId, int depth, Arena arena) {
        // Where a queue's descriptors lie does not depend on the depth; how long they are does.
        long offset = queueId * pages(ublk_cmd_h.UBLK_MAX_QUEUE_DEPTH() * BYTES);
        mapping = kernel.mmap(charDevice, offset, pages(depth * BYTES), linux_h.PROT_READ(), linux_h.MAP_SHARED(), arena);
    }

    int operationAndFlags(int tag) {
        return mapping.get(JAVA_INT, tag * BYTES + OP_FLAGS);
    }

    long lengthBytes(int tag) {
        return Integer.toUnsignedLong(mapping.get(JAVA_INT, tag * BYTES + SECTORS)) * BlockRequest.SECTOR_BYTES;
    }

    /** 0 for a FLUSH, which the block layer gives sector -1. */
    long offsetBytes(int tag) {
        long sector = mapping.get(JAVA_LONG, tag * BYTES + START);
        return sector == NO_SECTOR ? 0 : sector * BlockRequest.SECTOR_BYTES;
    }

    /** What {@link SharedBuffers} draws, if the request is in shared memory. */
    long address(int tag) {
        return mapping.get(JAVA_LONG, tag * BYTES + ADDRESS);
    }

    private static long pages(long bytes) {
        return (bytes + PAGE - 1) / PAGE * PAGE;
    }
}
