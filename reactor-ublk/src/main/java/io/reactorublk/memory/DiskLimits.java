package io.reactorublk.memory;

import io.reactorublk.abi.ublk_cmd_h;
import io.reactorublk.abi.ublk_param_basic;
import io.reactorublk.abi.ublk_param_discard;
import io.reactorublk.abi.ublk_param_dma_align;
import io.reactorublk.abi.ublk_param_segment;
import io.reactorublk.abi.ublk_params;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.KernelException;
import java.lang.foreign.MemorySegment;

/** What a disk is and can do, from the parameters its server set. Mirrors {@code struct queue_limits}. */
record DiskLimits(long sizeBytes, int blockSize, int maxIoBytes, long maxDiscardBytes, int discardGranularityBytes,
        long maxWriteZeroesBytes, boolean readOnly, boolean volatileCache, boolean fua) {

    static final int SECTOR_BYTES = 512;
    private static final int PAGE_SHIFT = 12;
    private static final int PAGE_SECTORS = 8;
    private static final int MAX_PHYSICAL_SHIFT = 28;
    private static final int KNOWN_TYPES = ublk_cmd_h.UBLK_PARAM_TYPE_BASIC() | ublk_cmd_h.UBLK_PARAM_TYPE_DISCARD()
            | ublk_cmd_h.UBLK_PARAM_TYPE_DMA_ALIGN() | ublk_cmd_h.UBLK_PARAM_TYPE_SEGMENT();
    private static final int PAGE = 1 << PAGE_SHIFT;

    /**
     * {@code ublk_validate_params} and {@code ublk_ctrl_start_dev}.
     *
     * @throws KernelException EINVAL, if the driver would refuse
     */
    static DiskLimits of(MemorySegment params, int maxIoBufferBytes) {
        int types = ublk_params.types(params);
        require((types & ublk_cmd_h.UBLK_PARAM_TYPE_BASIC()) != 0 && (types & ~KNOWN_TYPES) == 0);
        MemorySegment basic = ublk_params.basic(params);
        int logicalShift = ublk_param_basic.logical_bs_shift(basic);
        int physicalShift = ublk_param_basic.physical_bs_shift(basic);
        int maxSectors = ublk_param_basic.max_sectors(basic);
        require(logicalShift >= 9 && logicalShift <= PAGE_SHIFT);
        require(physicalShift >= logicalShift && physicalShift <= MAX_PHYSICAL_SHIFT);
        require(maxSectors >= PAGE_SECTORS && maxSectors <= maxIoBufferBytes / SECTOR_BYTES);
        int attrs = ublk_param_basic.attrs(basic);
        boolean volatileCache = (attrs & ublk_cmd_h.UBLK_ATTR_VOLATILE_CACHE()) != 0;
        boolean discards = (types & ublk_cmd_h.UBLK_PARAM_TYPE_DISCARD()) != 0;
        MemorySegment discard = ublk_params.discard(params);
        if (discards) {
            require(ublk_param_discard.max_discard_sectors(discard) == 0 || ublk_param_discard.max_discard_segments(discard) == 1);
            require(ublk_param_discard.discard_granularity(discard) != 0);
        }
        if ((types & ublk_cmd_h.UBLK_PARAM_TYPE_DMA_ALIGN()) != 0) {
            int mask = ublk_param_dma_align.alignment(ublk_params.dma(params));
            require(mask >= 0 && mask < PAGE && isMask(mask));
        }
        if ((types & ublk_cmd_h.UBLK_PARAM_TYPE_SEGMENT()) != 0) {
            MemorySegment segments = ublk_params.seg(params);
            long boundaryMask = ublk_param_segment.seg_boundary_mask(segments);
            require(isMask(boundaryMask) && boundaryMask + 1 >= PAGE      // all ones is no mask here: is_power_of_2(0) is false
                    && Integer.compareUnsigned(ublk_param_segment.max_segment_size(segments), PAGE) >= 0);
        }
        return new DiskLimits(ublk_param_basic.dev_sectors(basic) * SECTOR_BYTES, 1 << logicalShift, maxSectors * SECTOR_BYTES,
                discards ? bytes(ublk_param_discard.max_discard_sectors(discard)) : 0,
                discards ? ublk_param_discard.discard_granularity(discard) : SECTOR_BYTES,
                discards ? bytes(ublk_param_discard.max_write_zeroes_sectors(discard)) : 0,
                (attrs & ublk_cmd_h.UBLK_ATTR_READ_ONLY()) != 0,
                volatileCache,
                volatileCache && (attrs & ublk_cmd_h.UBLK_ATTR_FUA()) != 0);
    }

    private static boolean isMask(long mask) {
        return (mask & (mask + 1)) == 0;
    }

    private static long bytes(int sectors) {
        return Integer.toUnsignedLong(sectors) * SECTOR_BYTES;
    }

    private static void require(boolean valid) {
        if (!valid) throw new KernelException("ublk_validate_params", Errno.EINVAL);
    }

    DiskLimits resized(long newSizeBytes) {
        return new DiskLimits(newSizeBytes, blockSize, maxIoBytes, maxDiscardBytes, discardGranularityBytes, maxWriteZeroesBytes,
                readOnly, volatileCache, fua);
    }
}
