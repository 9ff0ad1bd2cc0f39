package io.reactorublk;

import io.reactorublk.abi.ublk_cmd_h;
import io.reactorublk.abi.ublksrv_ctrl_dev_info;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Set;

/**
 * What the driver knows of a device, whoever serves it. Told at once, also of a device that hangs. Mirrors
 * {@code struct ublksrv_ctrl_dev_info}.
 *
 * @param id N of {@code /dev/ublkbN}
 * @param serverPid the process that serves it; -1 if none ever did, it was stopped, or its server died and no other has taken over
 * @param queues how many hardware queues it has
 * @param queueDepth how many requests can be in flight on each
 * @param maxIoBytes the longest READ or WRITE
 * @param features what it was granted when it was made
 * @param ownerUid the user that made it
 * @param ownerGid the group of that user
 */
public record DeviceStatus(int id, State state, long serverPid, int queues, int queueDepth, int maxIoBytes,
        Set<Feature> features, int ownerUid, int ownerGid) {

    /** Where a device is in its life. */
    public enum State {
        /** Not started yet, or stopped for ever: there is no block device. */
        DEAD,
        /** Served. */
        LIVE,
        /** Without a server; what applications ask for waits, see {@link Recovery#HOLD} and {@link Recovery#REISSUE}. */
        QUIESCED,
        /** Without a server; what applications ask for fails, see {@link Recovery#FAIL_FAST}. */
        FAIL_IO
    }

    public DeviceStatus {
        features = Set.copyOf(features);
    }

    /** The block device, {@code /dev/ublkbN}, which is there unless the state is {@link State#DEAD}. */
    public Path path() {
        return Path.of("/dev/ublkb" + id);
    }

    /** Whether it waits for {@link UblkServer#recover}. */
    public boolean isRecoverable() {
        return state == State.QUIESCED || state == State.FAIL_IO;
    }

    /** What becomes of it when its server dies. */
    public Recovery recovery() {
        return Recovery.of(features);
    }

    static DeviceStatus readFrom(MemorySegment info) {
        return new DeviceStatus(ublksrv_ctrl_dev_info.dev_id(info), stateOf(ublksrv_ctrl_dev_info.state(info)),
                ublksrv_ctrl_dev_info.ublksrv_pid(info), Short.toUnsignedInt(ublksrv_ctrl_dev_info.nr_hw_queues(info)),
                Short.toUnsignedInt(ublksrv_ctrl_dev_info.queue_depth(info)), ublksrv_ctrl_dev_info.max_io_buf_bytes(info),
                Feature.of(ublksrv_ctrl_dev_info.flags(info)),
                ublksrv_ctrl_dev_info.owner_uid(info), ublksrv_ctrl_dev_info.owner_gid(info));
    }

    private static State stateOf(int number) {
        if (number == ublk_cmd_h.UBLK_S_DEV_LIVE()) return State.LIVE;
        if (number == ublk_cmd_h.UBLK_S_DEV_QUIESCED()) return State.QUIESCED;
        return number == ublk_cmd_h.UBLK_S_DEV_FAIL_IO() ? State.FAIL_IO : State.DEAD;
    }
}
