package io.reactorublk;

import io.reactorublk.abi.ublksrv_ctrl_dev_info;
import java.lang.foreign.MemorySegment;

/** What is asked of ADD_DEV, and what it grants. Mirrors {@code struct ublksrv_ctrl_dev_info}. */
record DeviceInfo(int id, int queues, int queueDepth, int maxIoBytes, long flags) {

    static DeviceInfo of(DeviceStatus status) {
        return new DeviceInfo(status.id(), status.queues(), status.queueDepth(), status.maxIoBytes(),
                Feature.flags(status.features()));
    }

    boolean isUnprivileged() {
        return (flags & Feature.UNPRIVILEGED_DEV.flag()) != 0;
    }

    void writeTo(MemorySegment info) {
        ublksrv_ctrl_dev_info.dev_id(info, id);
        ublksrv_ctrl_dev_info.nr_hw_queues(info, (short) queues);
        ublksrv_ctrl_dev_info.queue_depth(info, (short) queueDepth);
        ublksrv_ctrl_dev_info.max_io_buf_bytes(info, maxIoBytes);
        ublksrv_ctrl_dev_info.flags(info, flags);
    }

    static DeviceInfo readFrom(MemorySegment info) {
        return new DeviceInfo(ublksrv_ctrl_dev_info.dev_id(info),
                Short.toUnsignedInt(ublksrv_ctrl_dev_info.nr_hw_queues(info)),
                Short.toUnsignedInt(ublksrv_ctrl_dev_info.queue_depth(info)),
                ublksrv_ctrl_dev_info.max_io_buf_bytes(info),
                ublksrv_ctrl_dev_info.flags(info));
    }

    /**
     * Compares what was granted with what was asked: the driver clips queues to the CPUs and drops flags it does not know.
     *
     * @throws IllegalArgumentException naming what was granted
     */
    void requireGranted(DeviceInfo granted) {
        if (granted.queues < queues) {
            throw new IllegalArgumentException(queues + " queues: this machine grants " + granted.queues
                    + ", one for each CPU; ask for no more");
        }
        if (isUnprivileged() && !granted.isUnprivileged()) {
            throw new IllegalArgumentException("with CAP_SYS_ADMIN no unprivileged device can be made; "
                    + "leave unprivileged() out, or start as another user");
        }
        if (granted.queueDepth != queueDepth || granted.maxIoBytes != maxIoBytes || (granted.flags & flags) != flags) {
            throw new IllegalArgumentException("the driver grants " + granted + " where " + this + " was asked for");
        }
    }
}
