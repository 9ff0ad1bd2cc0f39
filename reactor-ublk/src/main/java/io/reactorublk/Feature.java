package io.reactorublk;

import io.reactorublk.abi.ublk_cmd_h;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.KernelException;
import java.util.Collection;
import java.util.EnumSet;
import java.util.Set;

/**
 * What a driver can do, and what a device was made to do: {@code UBLK_F_*}, each named as in the kernel's header.
 *
 * <p>A driver tells which it knows ({@link UblkControl#features}) and drops the others in silence; a device keeps those it was
 * granted ({@link DeviceStatus#features}). Mirrors {@code include/uapi/linux/ublk_cmd.h}.
 */
public enum Feature {
    /** A request's pages can be registered with a ring as a buffer. */
    SUPPORT_ZERO_COPY(ublk_cmd_h.UBLK_F_SUPPORT_ZERO_COPY(), "Linux 6.15"),
    /** Commands complete in the server's own task; always so. */
    URING_CMD_COMP_IN_TASK(ublk_cmd_h.UBLK_F_URING_CMD_COMP_IN_TASK(), "Linux 6.0"),
    /** A WRITE is announced before its bytes are copied. Not with {@link #BATCH_IO}. */
    NEED_GET_DATA(ublk_cmd_h.UBLK_F_NEED_GET_DATA(), "Linux 6.0"),
    /** The device outlives its server, see {@link Recovery}. */
    USER_RECOVERY(ublk_cmd_h.UBLK_F_USER_RECOVERY(), "Linux 6.1"),
    /** What a dead server had not answered is given to the next one. */
    USER_RECOVERY_REISSUE(ublk_cmd_h.UBLK_F_USER_RECOVERY_REISSUE(), "Linux 6.1"),
    /** Made by somebody without CAP_SYS_ADMIN. */
    UNPRIVILEGED_DEV(ublk_cmd_h.UBLK_F_UNPRIVILEGED_DEV(), "Linux 6.3"),
    /** Commands are numbered as those of ioctl; always so. */
    CMD_IOCTL_ENCODE(ublk_cmd_h.UBLK_F_CMD_IOCTL_ENCODE(), "Linux 6.4"),
    /** The server copies the bytes of requests itself, by reads and writes of {@code /dev/ublkcN}. */
    USER_COPY(ublk_cmd_h.UBLK_F_USER_COPY(), "Linux 6.5"),
    /** A zoned device. */
    ZONED(ublk_cmd_h.UBLK_F_ZONED(), "Linux 6.6"),
    /** While there is no server everything fails at once. */
    USER_RECOVERY_FAIL_IO(ublk_cmd_h.UBLK_F_USER_RECOVERY_FAIL_IO(), "Linux 6.13"),
    /** A device can be resized while it is in use. */
    UPDATE_SIZE(ublk_cmd_h.UBLK_F_UPDATE_SIZE(), "Linux 6.16"),
    /** A request's pages are registered with the ring before it is delivered. */
    AUTO_BUF_REG(ublk_cmd_h.UBLK_F_AUTO_BUF_REG(), "Linux 6.16"),
    /** A device can be told to do without its server. With {@link #BATCH_IO} that fails what applications ask for. */
    QUIESCE(ublk_cmd_h.UBLK_F_QUIESCE(), "Linux 6.16"),
    /** Each tag may have a task of its own. Not with {@link #BATCH_IO}. */
    PER_IO_DAEMON(ublk_cmd_h.UBLK_F_PER_IO_DAEMON(), "Linux 6.16"),
    /** Any task may register a request's pages; always so. */
    BUF_REG_OFF_DAEMON(ublk_cmd_h.UBLK_F_BUF_REG_OFF_DAEMON(), "Linux 6.17"),
    /** Tags are fetched and results committed many at a time. */
    BATCH_IO(ublk_cmd_h.UBLK_F_BATCH_IO(), "Linux 7.0"),
    /** Requests carry protection information. */
    INTEGRITY(ublk_cmd_h.UBLK_F_INTEGRITY(), "Linux 7.0"),
    /** A device can be stopped on condition that nobody uses it. */
    SAFE_STOP_DEV(ublk_cmd_h.UBLK_F_SAFE_STOP_DEV(), "Linux 7.0"),
    /** The kernel does not look for partitions when the device starts. */
    NO_AUTO_PART_SCAN(ublk_cmd_h.UBLK_F_NO_AUTO_PART_SCAN(), "Linux 7.0"),
    /** Requests whose bytes are in memory shared with the server are not copied. */
    SHMEM_ZC(ublk_cmd_h.UBLK_F_SHMEM_ZC(), "Linux 7.1");

    private final long flag;
    private final String since;

    Feature(long flag, String since) {
        this.flag = flag;
        this.since = since;
    }

    long flag() {
        return flag;
    }

    /** The first kernel that has it. */
    public String since() {
        return since;
    }

    /** Those of a mask that have a name here. */
    static Set<Feature> of(long flags) {
        EnumSet<Feature> features = EnumSet.noneOf(Feature.class);
        for (Feature feature : values()) if ((flags & feature.flag) != 0) features.add(feature);
        return features;
    }

    static long flags(Collection<Feature> features) {
        long flags = 0;
        for (Feature feature : features) flags |= feature.flag;
        return flags;
    }

    /** Asks first, for each of these flags. */
    static void requireAll(long flags, long offered, String kernelRelease) {
        for (Feature feature : values()) if ((flags & feature.flag) != 0) feature.require(offered, kernelRelease);
    }

    /**
     * Asks first: a driver drops flags it does not know in silence.
     *
     * @param offered what the driver says it can do
     */
    void require(long offered, String kernelRelease) {
        if ((offered & flag) == flag) return;
        throw new KernelException("UBLK_U_CMD_GET_FEATURES", Errno.EOPNOTSUPP, "No UBLK_F_" + this + ": needs " + since
                + " or later, this is " + kernelRelease);
    }
}
