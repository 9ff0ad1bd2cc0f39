package io.reactorublk;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.reactorublk.abi.ublk_cmd_h;
import io.reactorublk.abi.ublk_shmem_buf_reg;
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
import java.util.BitSet;
import java.util.EnumSet;
import java.util.Set;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;
import reactor.core.Exceptions;
import reactor.core.publisher.Mono;
import reactor.core.publisher.MonoSink;
import reactor.util.Logger;
import reactor.util.Loggers;
import reactor.util.retry.Retry;

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
 *
 * Of a device that an ordinary user has made, every command proves that its sender may use the character device, by naming it:
 * the path comes before everything else in the buffer, and counts in {@code len}. For other devices it must not be there.
 * Mirrors {@code ublk_ctrl_uring_cmd_permission}.
 */
final class ControlDevice {

    private static final Logger LOG = Loggers.getLogger(ControlDevice.class);
    private static final String PATH = "/dev/ublk-control";
    /** Of the names of commands. */
    private static final String PREFIX = "UBLK_U_CMD_";
    private static final int NO_DEVICE = -1;
    private static final short NO_QUEUE = -1;
    /** {@code CONFIG_NR_CPUS} of the largest distribution kernels. */
    private static final int MAX_CPUS = 8192;
    /** Long enough for {@code /dev/ublkc1048575}; a multiple of 8, so that what follows is aligned. */
    private static final int DEVICE_PATH_BYTES = 32;
    private static final Duration FIRST_PAUSE = Duration.ofMillis(1);
    private static final Duration LONGEST_PAUSE = Duration.ofMillis(50);

    private final EventLoop loop;
    private final Duration deadline;
    private final ControlListener listener;
    private final int fd;
    private final boolean namesDevices;
    /** The name of the one device, if it was written down before; else each command has it in memory of its own. */
    private final MemorySegment name;

    /** Opens it. The loop must have large entries. */
    ControlDevice(EventLoop loop, Duration deadline, ControlListener listener) {
        this.loop = loop;
        this.deadline = deadline;
        this.listener = listener;
        namesDevices = false;
        name = MemorySegment.NULL;
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

    private ControlDevice(ControlDevice other, Duration deadline, ControlListener listener, boolean namesDevices, MemorySegment name) {
        loop = other.loop;
        fd = other.fd;
        this.deadline = deadline;
        this.listener = listener;
        this.namesDevices = namesDevices;
        this.name = name;
    }

    /** Where its commands complete. */
    EventLoop loop() {
        return loop;
    }

    ControlDevice with(Duration otherDeadline, ControlListener otherListener) {
        return new ControlDevice(this, otherDeadline, otherListener, namesDevices, name);
    }

    /** The same open file, for devices that ordinary users have made. */
    ControlDevice forUnprivileged() {
        return new ControlDevice(this, deadline, listener, true, MemorySegment.NULL);
    }

    /**
     * The same open file, for this one device that an ordinary user has made: to stop and to delete it will take no memory.
     *
     * @param arena outlives the loop
     */
    ControlDevice forUnprivileged(int id, Arena arena) {
        MemorySegment path = loop.kernel().allocate(DEVICE_PATH_BYTES, arena);
        path.setString(0, pathOf(id));
        return new ControlDevice(this, deadline, listener, true, path);
    }

    private static String pathOf(int id) {
        return "/dev/ublkc" + id;
    }

    /** The same open file, for this device. */
    ControlDevice of(DeviceStatus device) {
        return device.features().contains(Feature.UNPRIVILEGED_DEV) ? forUnprivileged() : this;
    }

    void close() {
        loop.kernel().close(fd);
    }

    /** GET_FEATURES: {@code UBLK_F_*} that the driver knows. */
    Mono<Long> features() {
        return run(new Command<Long>("UBLK_U_CMD_GET_FEATURES", ublk_cmd_h.UBLK_U_CMD_GET_FEATURES(), NO_DEVICE)
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
                    case EACCES -> "There are as many devices of ordinary users as may be; "
                            + "root raises /sys/module/ublk_drv/parameters/ublks_max";
                    case EPERM -> "Creating ublk devices needs root (CAP_SYS_ADMIN); others make unprivileged ones";
                    case ENOMEM -> "The kernel has no memory for " + wanted.queues() + " queues of depth " + wanted.queueDepth();
                    default -> "";
                }), deadline);
    }

    /** SET_PARAMS, before the first start only. */
    Mono<Void> setParams(int id, DeviceParameters parameters) {
        return run(new Command<Void>("UBLK_U_CMD_SET_PARAMS", ublk_cmd_h.UBLK_U_CMD_SET_PARAMS(), id)
                .buffer(DeviceParameters.lengthBytes())
                .fill(parameters::writeTo), deadline);
    }

    /** GET_PARAMS. Waits for whatever the device is just told to do. */
    Mono<DeviceParameters> params(int id) {
        return run(new Command<DeviceParameters>("UBLK_U_CMD_GET_PARAMS", ublk_cmd_h.UBLK_U_CMD_GET_PARAMS(), id)
                .buffer(DeviceParameters.lengthBytes())
                .fill(DeviceParameters::writeRoom)
                .answer(DeviceParameters::readFrom), deadline);
    }

    /**
     * GET_DEV_INFO. Answered at once, whatever the device is doing. Whether its name must be given cannot be known before: root
     * learns of other devices without it, wherever their nodes are, and a refusal for want of it is EINVAL.
     */
    Mono<DeviceStatus> status(int id) {
        Mono<DeviceStatus> named = forUnprivileged().info("UBLK_U_CMD_GET_DEV_INFO2", ublk_cmd_h.UBLK_U_CMD_GET_DEV_INFO2(), id);
        return info("UBLK_U_CMD_GET_DEV_INFO", ublk_cmd_h.UBLK_U_CMD_GET_DEV_INFO(), id)
                .onErrorResume(e -> e instanceof KernelException refusal && refusal.errno() == Errno.EINVAL, e -> named);
    }

    private Mono<DeviceStatus> info(String name, long operation, int id) {
        return run(new Command<DeviceStatus>(name, operation, id)
                .buffer(ublksrv_ctrl_dev_info.layout().byteSize())
                .answer(DeviceStatus::readFrom), deadline);
    }

    /** GET_QUEUE_AFFINITY. */
    Mono<BitSet> affinity(int id, int queue) {
        return run(new Command<BitSet>("UBLK_U_CMD_GET_QUEUE_AFFINITY", ublk_cmd_h.UBLK_U_CMD_GET_QUEUE_AFFINITY(), id)
                .data(queue)
                .buffer(MAX_CPUS / Byte.SIZE)
                .answer(mask -> BitSet.valueOf(mask.toArray(JAVA_LONG)))
                .hint(errno -> errno == Errno.EINVAL ? "It has no queue " + queue : ""), deadline);
    }

    /** START_DEV. Waits in the kernel until every tag of every queue is prepared. */
    Mono<Void> start(int id) {
        return run(new Command<Void>("UBLK_U_CMD_START_DEV", ublk_cmd_h.UBLK_U_CMD_START_DEV(), id)
                .data(ProcessHandle.current().pid()), deadline);
    }

    /** STOP_DEV. Waits in the kernel until every request is answered, so it has no deadline of its own. */
    Mono<Void> stop(int id) {
        return observed(stopCommand(id), this::retried);
    }

    /**
     * STOP_DEV for a device that somebody else serves, and is to know: the driver passes over a fetch that is just in use, and
     * never comes back to it, unless it is told again.
     */
    Mono<Void> stopOthers(int id) {
        return run(stopCommand(id), deadline).then(Mono.defer(() -> run(stopCommand(id), deadline)));
    }

    private static Command<Void> stopCommand(int id) {
        return new Command<Void>("UBLK_U_CMD_STOP_DEV", ublk_cmd_h.UBLK_U_CMD_STOP_DEV(), id)
                .hint(errno -> errno == Errno.ETIMEDOUT
                        ? "Its server does not answer what it has been asked; the end of that process ends the wait" : "");
    }

    /** TRY_STOP_DEV: refused with EBUSY while somebody has it open. */
    Mono<Void> tryStop(int id) {
        return run(new Command<Void>("UBLK_U_CMD_TRY_STOP_DEV", ublk_cmd_h.UBLK_U_CMD_TRY_STOP_DEV(), id)
                .hint(errno -> errno == Errno.ENODEV ? "There is no device " + id + ", or it is stopped already" : ""), deadline);
    }

    /** UPDATE_SIZE, of a device that was started. */
    Mono<Void> updateSize(int id, long sizeBytes) {
        return run(new Command<Void>("UBLK_U_CMD_UPDATE_SIZE", ublk_cmd_h.UBLK_U_CMD_UPDATE_SIZE(), id)
                .data(sizeBytes / BlockRequest.SECTOR_BYTES)
                .hint(errno -> errno == Errno.ENODEV ? "There is no device " + id + ", or it is not started" : ""), deadline);
    }

    /** START_USER_RECOVERY, as often as the driver is still busy with the end of the last server. */
    Mono<Void> startRecovery(int id) {
        return run(new Command<Void>("UBLK_U_CMD_START_USER_RECOVERY", ublk_cmd_h.UBLK_U_CMD_START_USER_RECOVERY(), id)
                .retryOn(Errno.EBUSY)
                .hint(errno -> switch (errno) {
                    case ETIMEDOUT -> "Its server still lives, or a child of it that has inherited a descriptor";
                    case EINVAL -> "It was made without recovery";
                    default -> "";
                }), deadline);
    }

    /** END_USER_RECOVERY. Waits in the kernel until every tag of every queue is prepared. */
    Mono<Void> endRecovery(int id) {
        return run(new Command<Void>("UBLK_U_CMD_END_USER_RECOVERY", ublk_cmd_h.UBLK_U_CMD_END_USER_RECOVERY(), id)
                .data(ProcessHandle.current().pid()), deadline);
    }

    /** DEL_DEV. Waits in the kernel until the last reference is gone, so that the number is free when it completes. */
    Mono<Void> delete(int id) {
        return run(new Command<Void>("UBLK_U_CMD_DEL_DEV", ublk_cmd_h.UBLK_U_CMD_DEL_DEV(), id)
                .hint(errno -> errno == Errno.ETIMEDOUT
                        ? "Somebody still holds /dev/ublkc" + id + " or /dev/ublkb" + id : ""), deadline);
    }

    /** REG_BUF: the driver's number for this memory. Waits in the kernel for the requests in flight. */
    Mono<Integer> register(int id, MemorySegment shared) {
        return run(new Command<Integer>("UBLK_U_CMD_REG_BUF", ublk_cmd_h.UBLK_U_CMD_REG_BUF(), id)
                .buffer(ublk_shmem_buf_reg.layout().byteSize())
                .fill(buffer -> {
                    ublk_shmem_buf_reg.addr(buffer, shared.address());
                    ublk_shmem_buf_reg.len(buffer, shared.byteSize());
                })
                .answerResult(result -> result)
                .hint(errno -> errno == Errno.EOPNOTSUPP ? "The device was not made for it; serve it with sharedMemory()" : ""),
                deadline);
    }

    /** UNREG_BUF. */
    Mono<Void> unregister(int id, int index) {
        return run(new Command<Void>("UBLK_U_CMD_UNREG_BUF", ublk_cmd_h.UBLK_U_CMD_UNREG_BUF(), id).data(index), deadline);
    }

    private <T> Mono<T> run(Command<T> command, Duration deadline) {
        return observed(command, c -> retried(c).timeout(deadline, Mono.error(() -> c.refusal(Errno.ETIMEDOUT)), loop));
    }

    /** Tells the listener how it ended, before whoever waits for it learns that. */
    private <T> Mono<T> observed(Command<T> command, Function<Command<T>, Mono<T>> run) {
        if (listener == ControlListener.NONE) return run.apply(command);
        return Mono.defer(() -> {
            Observation observation = new Observation(command);
            return run.apply(command)
                    .doOnSuccess(answer -> observation.ended(null))
                    .doOnError(e -> observation.ended(Errno.of(e)))
                    .doOnCancel(() -> observation.ended(Errno.ECANCELED));
        });
    }

    /** A worker's wait can be interrupted by what is not meant for us; what it was to do is then not done, and asked for again. */
    private <T> Mono<T> retried(Command<T> command) {
        return Mono.<T>create(sink -> loop.execute(() -> submit(command, sink)))
                .retryWhen(Retry.backoff(Long.MAX_VALUE, FIRST_PAUSE).maxBackoff(LONGEST_PAUSE).jitter(0).scheduler(loop)
                        .filter(e -> e instanceof KernelException refusal && command.retries.contains(refusal.errno())));
    }

    private <T> void submit(Command<T> command, MonoSink<T> sink) {
        Arena arena = Arena.ofShared();                                // until the kernel is done, however long nobody listens
        try {
            int pathBytes = namesDevices && command.isOfADevice() ? DEVICE_PATH_BYTES : 0;
            boolean written = command.bufferBytes == 0 && (pathBytes == 0 || name.address() != 0);
            MemorySegment all = written ? name : loop.kernel().allocate(pathBytes + command.bufferBytes, arena);
            if (pathBytes > 0 && !written) all.setString(0, pathOf(command.deviceId));
            MemorySegment buffer = command.bufferBytes == 0 ? MemorySegment.NULL : all.asSlice(pathBytes);
            command.fill.accept(buffer);
            Sqe sqe = loop.ring().stage((result, flags) -> {
                try (arena) {
                    if (result < 0) {
                        sink.error(command.refusal(Errno.of(result)));
                    } else {
                        sink.success(command.result != null ? command.result.apply(result) : command.answer.apply(buffer));
                    }
                }
            });
            command.write(sqe.command(fd, command.operation), all, pathBytes);
            long id = sqe.id();
            sink.onCancel(() -> cancel(id));
        } catch (RuntimeException e) {                                 // nothing was staged
            arena.close();
            sink.error(e);
        }
    }

    private void cancel(long id) {
        try {
            loop.execute(() -> loop.ring().cancel(id));
        } catch (RejectedExecutionException e) {
            // The loop is closing, and takes back everything.
        }
    }

    /** One command under way. It ends once: a cancellation may come when it has ended, by another thread. */
    private final class Observation {

        private final Command<?> command;
        private final long startedNanos = loop.kernel().nanoTime();
        private final AtomicBoolean told = new AtomicBoolean();

        Observation(Command<?> command) {
            this.command = command;
        }

        void ended(@Nullable Errno refusal) {
            if (!told.compareAndSet(false, true)) return;
            try {
                listener.onCommand(command.name.substring(PREFIX.length()), command.deviceId, refusal,
                        loop.kernel().nanoTime() - startedNanos);
            } catch (Throwable e) {
                Exceptions.throwIfJvmFatal(e);
                LOG.error(listener + " failed", e);
            }
        }
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
        private @Nullable IntFunction<T> result;
        private final Set<Errno> retries = EnumSet.of(Errno.EINTR, Errno.EAGAIN);
        private Function<Errno, String> hint = errno -> "";

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

        Command<T> retryOn(Errno errno) {
            retries.add(errno);
            return this;
        }

        Command<T> answerResult(IntFunction<T> reader) {
            result = reader;
            return this;
        }

        Command<T> hint(Function<Errno, String> advice) {
            hint = advice;
            return this;
        }

        /** Not of none yet, as ADD_DEV, and not of the driver. */
        boolean isOfADevice() {
            return operation != (int) ublk_cmd_h.UBLK_U_CMD_ADD_DEV() && operation != (int) ublk_cmd_h.UBLK_U_CMD_GET_FEATURES();
        }

        void write(Sqe sqe, MemorySegment buffer, int pathBytes) {
            MemorySegment payload = sqe.payload(ublksrv_ctrl_cmd.layout().byteSize());
            ublksrv_ctrl_cmd.dev_id(payload, deviceId);
            ublksrv_ctrl_cmd.queue_id(payload, NO_QUEUE);
            ublksrv_ctrl_cmd.addr(payload, buffer.address());
            ublksrv_ctrl_cmd.len(payload, (short) (pathBytes + bufferBytes));
            ublksrv_ctrl_cmd.dev_path_len(payload, (short) pathBytes);
            payload.set(JAVA_LONG, ublksrv_ctrl_cmd.data$offset(), data);
        }

        KernelException refusal(Errno errno) {
            String advice = hint.apply(errno);
            return new KernelException(deviceId < 0 ? name : name + " of device " + deviceId, errno,
                    advice.isEmpty() ? usualHint(errno) : advice);
        }

        private String usualHint(Errno errno) {
            return switch (errno) {
                case ETIMEDOUT -> "The kernel has not finished in time; is the server of that device alive and answering?";
                case ENODEV -> "There is no device " + deviceId;
                case EPERM -> "Controlling ublk devices needs root (CAP_SYS_ADMIN)";
                case EACCES -> "It is another user's, or udev has not given /dev/ublkc" + deviceId + " to this one";
                default -> "";
            };
        }
    }
}
