package io.reactorublk;

import io.reactorublk.abi.ublk_cmd_h;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.KernelException;

/** What we ask of the driver beyond its first version, {@code UBLK_F_*}, and since when it has it. */
enum Feature {
    /** Tags are fetched and results committed many at a time. */
    BATCH_IO(ublk_cmd_h.UBLK_F_BATCH_IO(), "Linux 7.0");

    private final long flag;
    private final String since;

    Feature(long flag, String since) {
        this.flag = flag;
        this.since = since;
    }

    long flag() {
        return flag;
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
