package io.reactorublk;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.reactorublk.abi.ublk_cmd_h;
import io.reactorublk.abi.ublk_param_basic;
import io.reactorublk.abi.ublk_param_discard;
import io.reactorublk.abi.ublk_params;
import io.reactorublk.abi.ublksrv_ctrl_cmd;
import io.reactorublk.abi.ublksrv_ctrl_dev_info;
import io.reactorublk.uring.Kernel;
import io.reactorublk.uring.Ring;
import io.reactorublk.uring.abi.linux_h;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.function.Consumer;

/** {@code /dev/ublk-control}, spoken to as {@link ControlDevice} would never do: any command, with anything in it. */
final class RawControl implements AutoCloseable {

    static final int INFO_BYTES = (int) ublksrv_ctrl_dev_info.layout().byteSize();
    static final int PARAMS_BYTES = (int) ublk_params.layout().byteSize();
    static final int AUTOMATIC = -1;

    private static final long PAYLOAD_BYTES = ublksrv_ctrl_cmd.layout().byteSize();
    private static final int SECTOR = 512;

    private final Kernel kernel;
    private final Ring ring;
    private final Arena arena;
    private final int fd;

    RawControl(Kernel kernel, Ring ring, Arena arena) {
        this.kernel = kernel;
        this.ring = ring;
        this.arena = arena;
        fd = kernel.open("/dev/ublk-control", linux_h.O_RDWR(), 0);
    }

    /** Any command. */
    Answer send(long operation, Consumer<MemorySegment> header) {
        return send(operation, payload -> {
            ublksrv_ctrl_cmd.queue_id(payload, (short) -1);
            header.accept(payload);
        }, PAYLOAD_BYTES);
    }

    /** Any command with so many bytes of payload. */
    Answer send(long operation, Consumer<MemorySegment> writer, long payloadBytes) {
        Answer answer = new Answer();
        writer.accept(ring.stage(answer).command(fd, (int) operation).payload(payloadBytes));
        return answer;
    }

    Answer send(long operation, int id, long data, MemorySegment buffer, int length) {
        return send(operation, header -> {
            ublksrv_ctrl_cmd.dev_id(header, id);
            ublksrv_ctrl_cmd.addr(header, buffer.address());
            ublksrv_ctrl_cmd.len(header, (short) length);
            header.set(JAVA_LONG, ublksrv_ctrl_cmd.data$offset(), data);
        });
    }

    Answer send(long operation, int id, MemorySegment buffer) {
        return send(operation, id, 0, buffer, (int) buffer.byteSize());
    }

    Answer send(long operation, int id, long data) {
        return send(operation, id, data, MemorySegment.NULL, 0);
    }

    Answer send(long operation, int id) {
        return send(operation, id, 0);
    }

    MemorySegment memory(long bytes) {
        return kernel.allocate(bytes, arena).asSlice(0, bytes);
    }

    /** What to ask of ADD_DEV. */
    MemorySegment info(int id, int queues, int depth) {
        return info(id, queues, depth, 0);
    }

    MemorySegment info(int id, int queues, int depth, long flags) {
        MemorySegment info = memory(INFO_BYTES);
        new DeviceInfo(id, queues, depth, DriverContract.MAX_IO,
                ublk_cmd_h.UBLK_F_BATCH_IO() | ublk_cmd_h.UBLK_F_NO_AUTO_PART_SCAN() | flags).writeTo(info);
        return info;
    }

    /** A disk that can discard, and of which no request is longer than this. */
    MemorySegment params(int maxIoBytes) {
        MemorySegment params = memory(PARAMS_BYTES);
        ublk_params.len(params, PARAMS_BYTES);
        ublk_params.types(params, ublk_cmd_h.UBLK_PARAM_TYPE_BASIC() | ublk_cmd_h.UBLK_PARAM_TYPE_DISCARD());
        MemorySegment basic = ublk_params.basic(params);
        ublk_param_basic.logical_bs_shift(basic, (byte) 9);
        ublk_param_basic.physical_bs_shift(basic, (byte) 12);
        ublk_param_basic.io_min_shift(basic, (byte) 12);
        ublk_param_basic.io_opt_shift(basic, (byte) 12);
        ublk_param_basic.max_sectors(basic, maxIoBytes / SECTOR);
        ublk_param_basic.dev_sectors(basic, DriverContract.DEVICE_BYTES / SECTOR);
        MemorySegment discard = ublk_params.discard(params);
        ublk_param_discard.discard_granularity(discard, 4096);
        ublk_param_discard.max_discard_sectors(discard, 1 << 12);
        ublk_param_discard.max_write_zeroes_sectors(discard, 1 << 12);
        ublk_param_discard.max_discard_segments(discard, (short) 1);
        return params;
    }

    @Override
    public void close() {
        kernel.close(fd);
    }
}
