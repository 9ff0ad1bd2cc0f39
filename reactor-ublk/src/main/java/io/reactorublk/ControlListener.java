package io.reactorublk;

import io.reactorublk.uring.Errno;
import org.jspecify.annotations.Nullable;

/** Who is told of the commands that control devices. Called by any thread; must neither block nor throw. */
@FunctionalInterface
public interface ControlListener {

    /** Hears nothing. */
    ControlListener NONE = (command, deviceId, refusal, nanos) -> {};

    /**
     * A command has ended. One that the driver interrupted, or that waits for the end of another server, is given again and again
     * and told once.
     *
     * @param command the driver's name of it, without {@code UBLK_U_CMD_}: {@code START_DEV}
     * @param deviceId of the device; negative if there is none, or if the driver was to choose
     * @param refusal null if it succeeded; ETIMEDOUT after its deadline; ECANCELED if nobody waits for it any longer
     * @param nanos from its first submission
     */
    void onCommand(String command, int deviceId, @Nullable Errno refusal, long nanos);
}
