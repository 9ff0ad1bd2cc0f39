package io.reactorublk;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.reactorublk.abi.ublk_cmd_h;
import io.reactorublk.abi.ublk_param_basic;
import io.reactorublk.abi.ublk_param_discard;
import io.reactorublk.abi.ublk_param_dma_align;
import io.reactorublk.abi.ublk_param_segment;
import io.reactorublk.abi.ublk_params;
import io.reactorublk.abi.ublksrv_ctrl_cmd;
import io.reactorublk.abi.ublksrv_ctrl_dev_info;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.EventLoop;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.Sqe;
import io.reactorublk.uring.abi.linux_h;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.function.Consumer;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;
import reactor.core.publisher.MonoSink;

/**
 * {@code /dev/ublk-control}: each control command a {@code Mono} with a deadline.
 *
 * <p>The driver runs most of them on a kernel worker, and some for as long as it takes; none is ever waited for on a thread.
 * A command that passes its deadline is cancelled, and its memory stays until the kernel is done with it. Their 32 bytes
 * of payload need 128-byte entries, hence a ring of their own:
 *
 * <pre>
 *    0  dev_id u32   4  queue_id u16   6  len u16   8  addr u64   16  data u64   24  dev_path_len u16
 * </pre>
 */
final class ControlDevice {

    private static final String PATH = "/dev/ublk-control";
    private static final short NO_QUEUE = -1;

    private final EventLoop loop;
    private final Duration deadline;
    private final int fd;

    /** Opens it. The loop must have large entries. */
    ControlDevice(EventLoop loop, Duration deadline) {
        this.loop = loop;
        this.deadline = deadline;
        try {
            fd = loop.kernel().open(PATH, linux_h.O_RDWR(), 0);
        } catch (KernelException e) {
            throw new KernelException("open " + PATH, e.errno(), switch (e.errno()) {
                case ENOENT, ENODEV, ENXIO ->
                        "This kernel has no ublk driver loaded; try `modprobe ublk_drv` (Linux 7.0 or later)";
                case EACCES, EPERM -> "Creating ublk devices needs root (CAP_SYS_ADMIN)";
                default -> "";
            });
        }
    }

    void close() {
        loop.kernel().close(fd);
    }

    /** GET_FEATURES: {@code UBLK_F_*} that the driver knows. */
    Mono<Long> features() {
        return run(new Command<Long>("UBLK_U_CMD_GET_FEATURES", ublk_cmd_h.UBLK_U_CMD_GET_FEATURES(), 0)
                .buffer(ublk_cmd_h.UBLK_FEATURES_LEN())
                .answer(buffer -> buffer.get(JAVA_LONG, 0)), deadline);
    }

    /** ADD_DEV. What comes back is what the driver granted, which may be less than was asked. */
    Mono<DeviceInfo> add(DeviceInfo wanted) {
        return run(new Command<DeviceInfo>("UBLK_U_CMD_ADD_DEV", ublk_cmd_h.UBLK_U_CMD_ADD_DEV(), wanted.id())
                .buffer(ublksrv_ctrl_dev_info.layout().byteSize())
                .fill(wanted::writeTo)
                .answer(DeviceInfo::readFrom)
                .hint(errno -> switch (errno) {
                    case EEXIST -> "Device number " + wanted.id() + " is in use; choose another, or leave it to the kernel";
                    case EPERM, EACCES -> "Creating ublk devices needs root (CAP_SYS_ADMIN)";
                    case ENOMEM -> "The kernel has no memory for " + wanted.queues() + " queues of depth " + wanted.queueDepth();
                    default -> "";
                }), deadline);
    }

    /** SET_PARAMS, before the first start only. */
    Mono<Void> setParams(int id, ServerConfig config) {
        return run(new Command<Void>("UBLK_U_CMD_SET_PARAMS", ublk_cmd_h.UBLK_U_CMD_SET_PARAMS(), id)
                .buffer(ublk_params.layout().byteSize())
                .fill(buffer -> writeParams(buffer, config)), deadline);
    }

    /** START_DEV. Waits in the kernel until every tag of every queue is prepared. */
    Mono<Void> start(int id) {
        return run(new Command<Void>("UBLK_U_CMD_START_DEV", ublk_cmd_h.UBLK_U_CMD_START_DEV(), id)
                .data(ProcessHandle.current().pid()), deadline);
    }

    /** STOP_DEV. Waits in the kernel until every request is answered, so it has no deadline of its own. */
    Mono<Void> stop(int id) {
        return run(new Command<Void>("UBLK_U_CMD_STOP_DEV", ublk_cmd_h.UBLK_U_CMD_STOP_DEV(), id));
    }

    /** DEL_DEV. Waits in the kernel until the last reference is gone, so that the number is free when it completes. */
    Mono<Void> delete(int id) {
        return run(new Command<Void>("UBLK_U_CMD_DEL_DEV", ublk_cmd_h.UBLK_U_CMD_DEL_DEV(), id)
                .hint(errno -> errno == Errno.ETIMEDOUT
                        ? "Somebody still holds /dev/ublkc" + id + " or /dev/ublkb" + id : ""), deadline);
    }

    private <T> Mono<T> run(Command<T> command, Duration deadline) {
        return run(command).timeout(deadline, Mono.error(() -> command.refusal(Errno.ETIMEDOUT)), loop);
    }

    private <T> Mono<T> run(Command<T> command) {
        return Mono.create(sink -> loop.execute(() -> submit(command, sink)));
    }

    private <T> void submit(Command<T> command, MonoSink<T> sink) {
        Arena arena = Arena.ofShared();                                // until the kernel is done, however long nobody listens
        try {
            MemorySegment buffer = command.bufferBytes == 0 ? MemorySegment.NULL
                    : loop.kernel().allocate(command.bufferBytes, arena);
            command.fill.accept(buffer);
            Sqe sqe = loop.ring().stage((result, flags) -> {
                try (arena) {
                    if (result < 0) {
                        sink.error(command.refusal(Errno.of(result)));
                    } else {
                        sink.success(command.answer.apply(buffer));
                    }
                }
            });
            command.write(sqe.command(fd, command.operation), buffer);
            long id = sqe.id();
            sink.onCancel(() -> loop.execute(() -> loop.ring().cancel(id)));
        } catch (RuntimeException e) {                                 // nothing was staged
            arena.close();
            sink.error(e);
        }
    }

    private static void writeParams(MemorySegment params, ServerConfig config) {
        ublk_params.len(params, (int) ublk_params.layout().byteSize());
        ublk_params.types(params, ublk_cmd_h.UBLK_PARAM_TYPE_BASIC() | ublk_cmd_h.UBLK_PARAM_TYPE_DISCARD()
                | ublk_cmd_h.UBLK_PARAM_TYPE_DMA_ALIGN()
                | (config.maxSegments > 0 ? ublk_cmd_h.UBLK_PARAM_TYPE_SEGMENT() : 0));
        MemorySegment basic = ublk_params.basic(params);
        ublk_param_basic.attrs(basic, (config.readOnly ? ublk_cmd_h.UBLK_ATTR_READ_ONLY() : 0)
                | (config.rotational ? ublk_cmd_h.UBLK_ATTR_ROTATIONAL() : 0)
                | (config.volatileCache ? ublk_cmd_h.UBLK_ATTR_VOLATILE_CACHE() : 0)
                | (config.fua ? ublk_cmd_h.UBLK_ATTR_FUA() : 0));
        ublk_param_basic.logical_bs_shift(basic, shift(config.blockSize));
        ublk_param_basic.physical_bs_shift(basic, shift(config.physicalBlockSize));
        ublk_param_basic.io_min_shift(basic, shift(config.physicalBlockSize));
        ublk_param_basic.io_opt_shift(basic, shift(config.physicalBlockSize));
        ublk_param_basic.max_sectors(basic, sectors(config.maxIoBytes));
        ublk_param_basic.dev_sectors(basic, config.sizeBytes / BlockRequest.SECTOR_BYTES);
        MemorySegment discard = ublk_params.discard(params);
        ublk_param_discard.discard_granularity(discard, config.discardGranularityBytes);
        ublk_param_discard.max_discard_sectors(discard, sectors(config.maxDiscardBytes));
        ublk_param_discard.max_write_zeroes_sectors(discard, sectors(config.maxWriteZeroesBytes));
        ublk_param_discard.max_discard_segments(discard, (short) 1);
        ublk_param_dma_align.alignment(ublk_params.dma(params), config.dmaAlignment - 1);
        MemorySegment segments = ublk_params.seg(params);
        ublk_param_segment.seg_boundary_mask(segments, -1L);
        ublk_param_segment.max_segment_size(segments, config.maxSegmentBytes);
        ublk_param_segment.max_segments(segments, (short) config.maxSegments);
    }

    private static byte shift(int powerOfTwo) {
        return (byte) Integer.numberOfTrailingZeros(powerOfTwo);
    }

    private static int sectors(long bytes) {
        return (int) (bytes / BlockRequest.SECTOR_BYTES);
    }

    /** One command: how it is written, what its result means, what helps when it is refused. */
    private static final class Command<T> {

        private final String name;
        private final int operation;
        private final int deviceId;
        private long data;
        private int bufferBytes;
        private Consumer<MemorySegment> fill = buffer -> {};
        private Function<MemorySegment, @Nullable T> answer = buffer -> null;
        private Function<Errno, String> hint = errno -> errno == Errno.ETIMEDOUT
                ? "The kernel has not finished in time; is the server of that device alive and answering?" : "";

        Command(String name, long operation, int deviceId) {
            this.name = name;
            this.operation = (int) operation;
            this.deviceId = deviceId;
        }

        Command<T> data(long value) {
            data = value;
            return this;
        }

        Command<T> buffer(long bytes) {
            bufferBytes = (int) bytes;
            return this;
        }

        Command<T> fill(Consumer<MemorySegment> what) {
            fill = what;
            return this;
        }

        Command<T> answer(Function<MemorySegment, @Nullable T> reader) {
            answer = reader;
            return this;
        }

        Command<T> hint(Function<Errno, String> advice) {
            hint = advice;
            return this;
        }

        void write(Sqe sqe, MemorySegment buffer) {
            MemorySegment payload = sqe.payload(ublksrv_ctrl_cmd.layout().byteSize());
            ublksrv_ctrl_cmd.dev_id(payload, deviceId);
            ublksrv_ctrl_cmd.queue_id(payload, NO_QUEUE);
            ublksrv_ctrl_cmd.addr(payload, buffer.address());
            ublksrv_ctrl_cmd.len(payload, (short) bufferBytes);
            payload.set(JAVA_LONG, ublksrv_ctrl_cmd.data$offset(), data);
        }

        KernelException refusal(Errno errno) {
            return new KernelException(deviceId < 0 ? name : name + " of device " + deviceId, errno, hint.apply(errno));
        }
    }
}
