package io.reactorublk.memory;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.reactorublk.abi.ublk_cmd_h;
import io.reactorublk.abi.ublk_params;
import io.reactorublk.abi.ublk_shmem_buf_reg;
import io.reactorublk.abi.ublksrv_ctrl_cmd;
import io.reactorublk.abi.ublksrv_ctrl_dev_info;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.memory.CharacterDevice.Command;
import io.reactorublk.uring.memory.CharacterDevice.OpenFile;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.function.ToIntFunction;

/**
 * {@code /dev/ublk-control}. Most commands are a worker's ({@code -EAGAIN} for the non-blocking attempt), some wait there
 * for as long as it takes. Mirrors {@code ublk_ctrl_uring_cmd}.
 */
final class ControlFile implements OpenFile {

    private static final long PAYLOAD_BYTES = ublksrv_ctrl_cmd.layout().byteSize();
    private static final long INFO_BYTES = ublksrv_ctrl_dev_info.layout().byteSize();
    private static final int PARAMS_HEADER_BYTES = 2 * Integer.BYTES;
    private static final int PAGE = 4096;
    private static final int MAX_ID = 1 << 20;
    private static final long AUTOMATIC = ublk_cmd_h.UBLK_F_CMD_IOCTL_ENCODE() | ublk_cmd_h.UBLK_F_URING_CMD_COMP_IN_TASK()
            | ublk_cmd_h.UBLK_F_SAFE_STOP_DEV() | ublk_cmd_h.UBLK_F_BUF_REG_OFF_DAEMON();
    private static final long RECOVERY = ublk_cmd_h.UBLK_F_USER_RECOVERY() | ublk_cmd_h.UBLK_F_USER_RECOVERY_REISSUE()
            | ublk_cmd_h.UBLK_F_USER_RECOVERY_FAIL_IO();
    private static final long DATA_MODES = ublk_cmd_h.UBLK_F_USER_COPY() | ublk_cmd_h.UBLK_F_SUPPORT_ZERO_COPY()
            | ublk_cmd_h.UBLK_F_AUTO_BUF_REG();
    private static final long KNOWN = AUTOMATIC | ublk_cmd_h.UBLK_F_BATCH_IO() | ublk_cmd_h.UBLK_F_NO_AUTO_PART_SCAN()
            | ublk_cmd_h.UBLK_F_UPDATE_SIZE() | ublk_cmd_h.UBLK_F_UNPRIVILEGED_DEV() | ublk_cmd_h.UBLK_F_SHMEM_ZC()
            | RECOVERY | DATA_MODES;
    private static final long MAX_PATH_BYTES = 4096;
    /** {@code UBLK_SHMEM_BUF_SIZE_MAX}. */
    private static final long MAX_SHARED_BYTES = 1L << 32;
    private static final int MAX_SHARED_INDEX = 0xffff;
    /** {@code ublks_max}. */
    private static final int MAX_UNPRIVILEGED = 64;

    private final MemoryUblkDriver driver;

    ControlFile(MemoryUblkDriver driver) {
        this.driver = driver;
    }

    @Override
    public MemorySegment mmap(long offset, long length, Arena arena) {
        throw new KernelException("mmap /dev/ublk-control", Errno.ENODEV);
    }

    @Override
    public void release() {}

    @Override
    public void command(Command command) {
        if (command.payload().byteSize() < PAYLOAD_BYTES) throw new KernelException("ublk_ctrl_uring_cmd", Errno.EINVAL);   // SQE128
        Request request = new Request(command);
        if (request.answersAtOnce()) {
            request.run();
            return;
        }
        Errno interruption = driver.interruption(request.operation);
        if (interruption == null) {
            command.later(request);
        } else {
            command.later(() -> request.complete(interruption.result()));
        }
    }

    /** One command, and the worker that runs it. */
    private final class Request implements Runnable {

        private final Command command;
        private final long operation;
        private final MemorySegment header;
        private boolean ended;

        Request(Command command) {
            this.command = command;
            operation = Integer.toUnsignedLong(command.operation());
            header = command.payload().asSlice(0, ublksrv_ctrl_cmd.layout());
        }

        boolean answersAtOnce() {
            return operation == ublk_cmd_h.UBLK_U_CMD_GET_FEATURES() || operation == ublk_cmd_h.UBLK_U_CMD_GET_DEV_INFO()
                    || operation == ublk_cmd_h.UBLK_U_CMD_GET_DEV_INFO2() || operation == ublk_cmd_h.UBLK_U_CMD_GET_QUEUE_AFFINITY();
        }

        @Override
        public void run() {
            if (ended) return;
            try {
                if (operation == ublk_cmd_h.UBLK_U_CMD_GET_FEATURES()) {
                    getFeatures();
                } else if (operation == ublk_cmd_h.UBLK_U_CMD_ADD_DEV()) {
                    driver.controlMutex().lock(this::add);
                } else if (operation == ublk_cmd_h.UBLK_U_CMD_SET_PARAMS()) {
                    setParams(device());
                } else if (operation == ublk_cmd_h.UBLK_U_CMD_GET_PARAMS()) {
                    getParams(device());
                } else if (operation == ublk_cmd_h.UBLK_U_CMD_GET_DEV_INFO() || operation == ublk_cmd_h.UBLK_U_CMD_GET_DEV_INFO2()) {
                    getInfo(device());
                } else if (operation == ublk_cmd_h.UBLK_U_CMD_GET_QUEUE_AFFINITY()) {
                    getAffinity(device());
                } else if (operation == ublk_cmd_h.UBLK_U_CMD_START_DEV()) {
                    whenReady(device(), DriverDevice::start);
                } else if (operation == ublk_cmd_h.UBLK_U_CMD_STOP_DEV()) {
                    device().stop(() -> complete(0));
                } else if (operation == ublk_cmd_h.UBLK_U_CMD_TRY_STOP_DEV()) {
                    tryStop(device());
                } else if (operation == ublk_cmd_h.UBLK_U_CMD_DEL_DEV()) {
                    delete(device(), true);
                } else if (operation == ublk_cmd_h.UBLK_U_CMD_DEL_DEV_ASYNC()) {
                    delete(device(), false);
                } else if (operation == ublk_cmd_h.UBLK_U_CMD_START_USER_RECOVERY()) {
                    device().startRecovery();
                    complete(0);
                } else if (operation == ublk_cmd_h.UBLK_U_CMD_END_USER_RECOVERY()) {
                    whenReady(device(), DriverDevice::endRecovery);
                } else if (operation == ublk_cmd_h.UBLK_U_CMD_UPDATE_SIZE()) {
                    updateSize(device());
                } else if (operation == ublk_cmd_h.UBLK_U_CMD_REG_BUF()) {
                    share(device());
                } else if (operation == ublk_cmd_h.UBLK_U_CMD_UNREG_BUF()) {
                    unshare(device());
                } else {
                    device();
                    complete(Errno.EOPNOTSUPP.result());
                }
            } catch (KernelException e) {
                complete(e.errno().result());
            }
        }

        /** Once: a worker that was interrupted may still come to its end. */
        private void complete(int result) {
            if (ended) return;
            ended = true;
            command.complete(result);
        }

        /** A wait that a signal ends; the work it waits for goes on. */
        private void interruptible(Runnable undo) {
            command.onCancel(() -> {
                undo.run();
                complete(Errno.EINTR.result());
            });
        }

        private DriverDevice device() {
            DriverDevice device = driver.device(ublksrv_ctrl_cmd.dev_id(header));
            requirePermission(device);
            return device;
        }

        /** {@code ublk_ctrl_uring_cmd_permission}: root may do everything; of devices of others it is the node that counts. */
        private void requirePermission(DriverDevice device) {
            if (!device.isUnprivileged()) {
                if (!driver.isPrivileged()) throw new KernelException("ublk_ctrl_uring_cmd_permission", Errno.EPERM);
                if (operation != ublk_cmd_h.UBLK_U_CMD_GET_DEV_INFO2()) return;
            }
            int pathBytes = Short.toUnsignedInt(ublksrv_ctrl_cmd.dev_path_len(header));
            require(pathBytes > 0 && pathBytes <= MAX_PATH_BYTES && pathBytes <= length());
            require(operation != ublk_cmd_h.UBLK_U_CMD_DEL_DEV_ASYNC());
            byte[] given = command.memory(ublksrv_ctrl_cmd.addr(header), pathBytes).toArray(JAVA_BYTE);
            String path = new String(given, StandardCharsets.UTF_8).replaceFirst("\0.*", "");
            if (!path.equals(device.path())) {
                throw new KernelException(path, driver.hasNode(path) ? Errno.EPERM : Errno.ENOENT);
            }
            ublksrv_ctrl_cmd.len(header, (short) (length() - pathBytes));
            ublksrv_ctrl_cmd.addr(header, ublksrv_ctrl_cmd.addr(header) + pathBytes);
        }

        private long data() {
            return header.get(JAVA_LONG, ublksrv_ctrl_cmd.data$offset());
        }

        private int length() {
            return Short.toUnsignedInt(ublksrv_ctrl_cmd.len(header));
        }

        private void require(boolean valid) {
            if (!valid) throw new KernelException("ublk_ctrl_uring_cmd", Errno.EINVAL);
        }

        private MemorySegment buffer(long bytes) {
            require(length() >= bytes && ublksrv_ctrl_cmd.addr(header) != 0);
            return command.memory(ublksrv_ctrl_cmd.addr(header), bytes);
        }

        // --------------------------------------------------------------------------------------- one by one

        private void getFeatures() {
            require(length() == Long.BYTES);
            buffer(Long.BYTES).set(JAVA_LONG, 0, KNOWN);
            complete(0);
        }

        /** {@code ublk_ctrl_add_dev}. */
        private void add() {
            try {
                MemorySegment info = buffer(INFO_BYTES).asSlice(0, ublksrv_ctrl_dev_info.layout());
                int id = ublksrv_ctrl_cmd.dev_id(header);
                int depth = Short.toUnsignedInt(ublksrv_ctrl_dev_info.queue_depth(info));
                int queues = Short.toUnsignedInt(ublksrv_ctrl_dev_info.nr_hw_queues(info));
                require(ublksrv_ctrl_cmd.queue_id(header) == -1 && id == ublksrv_ctrl_dev_info.dev_id(info));
                require(id >= -1 && id < MAX_ID);
                require(depth >= 2 && depth <= ublk_cmd_h.UBLK_MAX_QUEUE_DEPTH());   // of a batch queue: kfifo_alloc needs room for two
                require(queues >= 1 && queues <= ublk_cmd_h.UBLK_MAX_NR_QUEUES());
                requireRecovery(ublksrv_ctrl_dev_info.flags(info) & RECOVERY);
                long flags = (trusted(ublksrv_ctrl_dev_info.flags(info)) & KNOWN) | AUTOMATIC;
                if ((flags & ublk_cmd_h.UBLK_F_BATCH_IO()) == 0) throw new KernelException("per-tag commands in memory", Errno.EOPNOTSUPP);
                int maxIoBytes = ublksrv_ctrl_dev_info.max_io_buf_bytes(info) / PAGE * PAGE;
                driver.add(id, Math.min(queues, driver.cpus()), depth, maxIoBytes, flags).writeInfo(info);
                complete(0);
            } catch (KernelException e) {
                complete(e.errno().result());
            } finally {
                driver.controlMutex().unlock();
            }
        }

        /** {@code ublk_ctrl_add_dev}: root's devices are privileged, and those of others have less. */
        private long trusted(long flags) {
            if (driver.isPrivileged()) return flags & ~ublk_cmd_h.UBLK_F_UNPRIVILEGED_DEV();
            if ((flags & ublk_cmd_h.UBLK_F_UNPRIVILEGED_DEV()) == 0) throw new KernelException("ublk_ctrl_add_dev", Errno.EPERM);
            require((flags & DATA_MODES) == 0);
            long others = driver.devices().stream().filter(DriverDevice::isUnprivileged).count();
            if (others >= MAX_UNPRIVILEGED) throw new KernelException("ublk_ctrl_add_dev", Errno.EACCES);
            return flags & ~(ublk_cmd_h.UBLK_F_USER_RECOVERY() | ublk_cmd_h.UBLK_F_USER_RECOVERY_REISSUE());
        }

        /** {@code ublk_ctrl_add_dev}: of what is to become of the device there is one answer. */
        private void requireRecovery(long flags) {
            long beside = flags & ~ublk_cmd_h.UBLK_F_USER_RECOVERY();
            require(beside == 0 || (flags != beside && beside != (RECOVERY & ~ublk_cmd_h.UBLK_F_USER_RECOVERY())));
        }

        private void setParams(DriverDevice device) {
            MemorySegment given = params();
            require(given.get(JAVA_INT, ublk_params.types$offset()) != 0);
            device.setParams(given);
            complete(0);
        }

        private void getParams(DriverDevice device) {
            MemorySegment room = params();
            room.copyFrom(device.params().asSlice(0, room.byteSize()));
            complete(0);
        }

        /** More than {@code struct ublk_params_header}, of which the first number says how much. */
        private MemorySegment params() {
            long stated = Integer.toUnsignedLong(buffer(PARAMS_HEADER_BYTES + 1).get(JAVA_INT, ublk_params.len$offset()));
            require(stated > 0 && stated <= length());
            return buffer(Math.min(stated, ublk_params.layout().byteSize()));
        }

        private void getInfo(DriverDevice device) {
            device.writeInfo(buffer(INFO_BYTES).asSlice(0, ublksrv_ctrl_dev_info.layout()));
            complete(0);
        }

        private void getAffinity(DriverDevice device) {
            require(length() * Byte.SIZE >= driver.cpus() && length() % Long.BYTES == 0);
            require(data() >= 0 && data() < device.queues().size());
            MemorySegment mask = buffer(length());
            mask.fill((byte) 0);
            for (int cpu = (int) data(); cpu < driver.cpus(); cpu += device.queues().size()) {
                mask.set(JAVA_BYTE, cpu / Byte.SIZE, (byte) (mask.get(JAVA_BYTE, cpu / Byte.SIZE) | 1 << cpu % Byte.SIZE));
            }
            complete(0);
        }

        /** Waits until every tag of every queue is prepared. */
        private void whenReady(DriverDevice device, ToIntFunction<DriverDevice> step) {
            require(data() > 0);
            Runnable then = () -> complete(device.isOpen() && data() == ProcessHandle.current().pid()
                    ? step.applyAsInt(device) : Errno.EINVAL.result());
            device.awaitReady(then);
            interruptible(() -> device.stopAwaiting(then));
        }

        private void tryStop(DriverDevice device) {
            BlockLayer disk = device.disk();
            if (disk == null) {
                complete(Errno.ENODEV.result());
            } else if (disk.openers() > 0) {
                complete(Errno.EBUSY.result());
            } else {
                device.stop(() -> complete(0));
            }
        }

        /** {@code ublk_ctrl_del_dev}: one at a time on the whole machine, up to where it waits for references. */
        private void delete(DriverDevice device, boolean wait) {
            driver.controlMutex().lock(() -> device.stop(() -> {
                Runnable whenFreed = () -> complete(0);
                device.remove(wait ? whenFreed : null);
                if (wait) interruptible(() -> device.stopAwaiting(whenFreed));
                driver.controlMutex().unlock();
                if (!wait) complete(0);
            }));
        }

        private void updateSize(DriverDevice device) {
            device.resize(data());
            complete(0);
        }

        /** {@code ublk_ctrl_reg_buf}. Of a structure that is cut short the rest is 0. */
        private void share(DriverDevice device) {
            requireShared(device);
            MemorySegment wanted = DriverDevice.zeroes(ublk_shmem_buf_reg.layout().byteSize());
            long given = Math.min(length(), wanted.byteSize());
            if (given > 0) wanted.copyFrom(command.memory(ublksrv_ctrl_cmd.addr(header), given));
            int flags = ublk_shmem_buf_reg.flags(wanted);
            long address = ublk_shmem_buf_reg.addr(wanted);
            long bytes = ublk_shmem_buf_reg.len(wanted);
            require((flags & ~ublk_cmd_h.UBLK_SHMEM_BUF_READ_ONLY()) == 0 && ublk_shmem_buf_reg.reserved(wanted) == 0);
            require(bytes > 0 && bytes <= MAX_SHARED_BYTES && bytes % PAGE == 0 && address % PAGE == 0);
            MemorySegment memory = command.memory(address, bytes);     // pin_user_pages_fast
            change(device, shared -> shared.add(memory, flags != 0));
        }

        /** {@code ublk_ctrl_unreg_buf}. */
        private void unshare(DriverDevice device) {
            requireShared(device);
            int index = (int) data();
            require(index >= 0 && index <= MAX_SHARED_INDEX);
            change(device, shared -> {
                shared.remove(index);
                return 0;
            });
        }

        private static void requireShared(DriverDevice device) {
            if (!device.sharesMemory()) throw new KernelException("ublk_dev_support_shmem_zc", Errno.EOPNOTSUPP);
        }

        private void change(DriverDevice device, ToIntFunction<SharedPages> change) {
            device.changeShared(shared -> {
                try {
                    complete(change.applyAsInt(shared));
                } catch (KernelException e) {
                    complete(e.errno().result());
                }
            });
        }
    }
}
