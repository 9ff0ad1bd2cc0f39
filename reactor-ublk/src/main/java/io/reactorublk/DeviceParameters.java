package io.reactorublk;

import io.reactorublk.abi.ublk_cmd_h;
import io.reactorublk.abi.ublk_param_basic;
import io.reactorublk.abi.ublk_param_discard;
import io.reactorublk.abi.ublk_param_dma_align;
import io.reactorublk.abi.ublk_param_segment;
import io.reactorublk.abi.ublk_params;
import java.lang.foreign.MemorySegment;

/**
 * What a device is like for those who use it. All sizes in bytes. Mirrors {@code struct ublk_params}, but for the
 * parts of zoned devices and of protection information.
 *
 * @param sizeBytes how large it is; the one parameter that can change, see {@link UblkControl#resize}
 * @param blockSize the smallest addressable unit
 * @param physicalBlockSize the unit that is written without reading first
 * @param maxIoBytes the longest READ or WRITE
 * @param readOnly whether writes are refused before they reach its server
 * @param rotational whether it is slow to seek
 * @param volatileCache whether what was answered may be lost until a FLUSH
 * @param fua whether its server heeds {@link BlockRequest#isFua()}
 * @param discardGranularityBytes the unit in which discarding frees anything
 * @param maxDiscardBytes the longest DISCARD; 0 if it has none
 * @param maxWriteZeroesBytes the longest WRITE_ZEROES; 0 if it has none
 * @param dmaAlignment where the memory of applications may begin: at multiples of this
 * @param maxSegments of how many pieces of memory a request may be; 0 if nobody has set a limit
 * @param maxSegmentBytes how long each of them may be; 0 if nobody has set a limit
 */
public record DeviceParameters(long sizeBytes, int blockSize, int physicalBlockSize, int maxIoBytes, boolean readOnly,
        boolean rotational, boolean volatileCache, boolean fua, int discardGranularityBytes, long maxDiscardBytes,
        long maxWriteZeroesBytes, int dmaAlignment, int maxSegments, int maxSegmentBytes) {

    /** Of a device that has not set it: that of {@code struct queue_limits}, less where the driver asks for less. */
    private static final int DEFAULT_ALIGNMENT = 4;
    /** What no piece of memory may cross: the block layer's own default, 4 GiB. */
    private static final long BLK_SEG_BOUNDARY_MASK = 0xffff_ffffL;

    static DeviceParameters of(ServerConfig config) {
        return new DeviceParameters(config.sizeBytes, config.blockSize, config.physicalBlockSize, config.maxIoBytes,
                config.readOnly, config.rotational, config.volatileCache, config.fua, config.discardGranularityBytes,
                config.maxDiscardBytes, config.maxWriteZeroesBytes, config.dmaAlignment, config.maxSegments, config.maxSegmentBytes);
    }

    DeviceParameters withSize(long bytes) {
        return new DeviceParameters(bytes, blockSize, physicalBlockSize, maxIoBytes, readOnly, rotational, volatileCache, fua,
                discardGranularityBytes, maxDiscardBytes, maxWriteZeroesBytes, dmaAlignment, maxSegments, maxSegmentBytes);
    }

    static int lengthBytes() {
        return (int) ublk_params.layout().byteSize();
    }

    void writeTo(MemorySegment params) {
        ublk_params.len(params, lengthBytes());
        ublk_params.types(params, ublk_cmd_h.UBLK_PARAM_TYPE_BASIC() | ublk_cmd_h.UBLK_PARAM_TYPE_DISCARD()
                | ublk_cmd_h.UBLK_PARAM_TYPE_DMA_ALIGN() | (maxSegments > 0 ? ublk_cmd_h.UBLK_PARAM_TYPE_SEGMENT() : 0));
        MemorySegment basic = ublk_params.basic(params);
        ublk_param_basic.attrs(basic, (readOnly ? ublk_cmd_h.UBLK_ATTR_READ_ONLY() : 0)
                | (rotational ? ublk_cmd_h.UBLK_ATTR_ROTATIONAL() : 0)
                | (volatileCache ? ublk_cmd_h.UBLK_ATTR_VOLATILE_CACHE() : 0)
                | (fua ? ublk_cmd_h.UBLK_ATTR_FUA() : 0));
        ublk_param_basic.logical_bs_shift(basic, shift(blockSize));
        ublk_param_basic.physical_bs_shift(basic, shift(physicalBlockSize));
        ublk_param_basic.io_min_shift(basic, shift(physicalBlockSize));
        ublk_param_basic.io_opt_shift(basic, shift(physicalBlockSize));
        ublk_param_basic.max_sectors(basic, sectors(maxIoBytes));
        ublk_param_basic.dev_sectors(basic, sizeBytes / BlockRequest.SECTOR_BYTES);
        MemorySegment discard = ublk_params.discard(params);
        ublk_param_discard.discard_granularity(discard, discardGranularityBytes);
        ublk_param_discard.max_discard_sectors(discard, sectors(maxDiscardBytes));
        ublk_param_discard.max_write_zeroes_sectors(discard, sectors(maxWriteZeroesBytes));
        ublk_param_discard.max_discard_segments(discard, (short) 1);
        ublk_param_dma_align.alignment(ublk_params.dma(params), dmaAlignment - 1);
        MemorySegment segments = ublk_params.seg(params);
        ublk_param_segment.seg_boundary_mask(segments, BLK_SEG_BOUNDARY_MASK);
        ublk_param_segment.max_segment_size(segments, maxSegmentBytes);
        ublk_param_segment.max_segments(segments, (short) maxSegments);
    }

    /** To ask with: the driver wants to know for how much there is room. */
    static void writeRoom(MemorySegment params) {
        ublk_params.len(params, lengthBytes());
    }

    static DeviceParameters readFrom(MemorySegment params) {
        MemorySegment basic = ublk_params.basic(params);
        MemorySegment discard = ublk_params.discard(params);
        MemorySegment segments = ublk_params.seg(params);
        int types = ublk_params.types(params);
        boolean discards = (types & ublk_cmd_h.UBLK_PARAM_TYPE_DISCARD()) != 0;
        boolean aligned = (types & ublk_cmd_h.UBLK_PARAM_TYPE_DMA_ALIGN()) != 0;
        boolean segmented = (types & ublk_cmd_h.UBLK_PARAM_TYPE_SEGMENT()) != 0;
        int attrs = ublk_param_basic.attrs(basic);
        return new DeviceParameters(ublk_param_basic.dev_sectors(basic) * BlockRequest.SECTOR_BYTES,
                1 << ublk_param_basic.logical_bs_shift(basic), 1 << ublk_param_basic.physical_bs_shift(basic),
                (int) bytes(ublk_param_basic.max_sectors(basic)),
                (attrs & ublk_cmd_h.UBLK_ATTR_READ_ONLY()) != 0, (attrs & ublk_cmd_h.UBLK_ATTR_ROTATIONAL()) != 0,
                (attrs & ublk_cmd_h.UBLK_ATTR_VOLATILE_CACHE()) != 0, (attrs & ublk_cmd_h.UBLK_ATTR_FUA()) != 0,
                discards ? ublk_param_discard.discard_granularity(discard) : 0,
                discards ? bytes(ublk_param_discard.max_discard_sectors(discard)) : 0,
                discards ? bytes(ublk_param_discard.max_write_zeroes_sectors(discard)) : 0,
                aligned ? ublk_param_dma_align.alignment(ublk_params.dma(params)) + 1 : DEFAULT_ALIGNMENT,
                segmented ? Short.toUnsignedInt(ublk_param_segment.max_segments(segments)) : 0,
                segmented ? ublk_param_segment.max_segment_size(segments) : 0);
    }

    private static byte shift(int powerOfTwo) {
        return (byte) Integer.numberOfTrailingZeros(powerOfTwo);
    }

    private static int sectors(long bytes) {
        return (int) (bytes / BlockRequest.SECTOR_BYTES);
    }

    private static long bytes(int sectors) {
        return Integer.toUnsignedLong(sectors) * BlockRequest.SECTOR_BYTES;
    }
}
