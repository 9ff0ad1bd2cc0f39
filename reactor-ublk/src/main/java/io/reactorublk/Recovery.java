package io.reactorublk;

import java.util.List;
import java.util.Set;

/**
 * What becomes of a device when its server dies: by {@code kill -9}, by the OOM killer, or because it
 * {@linkplain UblkDevice#handOver hands over}. Decided when the device is made, and never changed.
 *
 * <pre>
 *                in flight at the death       asked for later      block device   state
 *   NONE         EIO                          EIO                  goes away      DEAD
 *   HOLD         EIO                          waits                stays          QUIESCED
 *   REISSUE      given to the next server     waits                stays          QUIESCED
 *   FAIL_FAST    EIO                          EREMOTEIO            stays          FAIL_IO
 * </pre>
 *
 * Mirrors {@code UBLK_F_USER_RECOVERY*}.
 */
public enum Recovery {
    /** The device goes with its server. File systems on it have to be unmounted by hand. */
    NONE(),

    /**
     * What the server had not answered fails, what comes later waits for {@link UblkServer#recover}: applications hang
     * meanwhile, without end if nobody comes, and cannot be killed. {@link UblkControl#remove} frees them.
     */
    HOLD(Feature.USER_RECOVERY),

    /**
     * As {@link #HOLD}, and what the server had not answered is asked of the next one: applications see a pause and no error.
     *
     * <p><b>A write may be executed twice</b>: the dead server may have done it and not said so. That is harmless as long as
     * doing it again gives the same bytes, as it does where a write goes to its place in a file; it is not where each write
     * is appended to a journal, counted, or sent to somebody else. The order is safe: who waited for an answer before writing
     * again got one.
     */
    REISSUE(Feature.USER_RECOVERY, Feature.USER_RECOVERY_REISSUE),

    /**
     * Everything fails at once until {@link UblkServer#recover}, as on a disk that was unplugged and may come back: what was in flight
     * with EIO, what is asked for later with EREMOTEIO.
     */
    FAIL_FAST(Feature.USER_RECOVERY, Feature.USER_RECOVERY_FAIL_IO);

    private final long flags;

    Recovery(Feature... features) {
        flags = Feature.flags(List.of(features));
    }

    /** What is asked of ADD_DEV. */
    long flags() {
        return flags;
    }

    static Recovery of(Set<Feature> features) {
        if (!features.contains(Feature.USER_RECOVERY)) return NONE;
        if (features.contains(Feature.USER_RECOVERY_REISSUE)) return REISSUE;
        return features.contains(Feature.USER_RECOVERY_FAIL_IO) ? FAIL_FAST : HOLD;
    }
}
