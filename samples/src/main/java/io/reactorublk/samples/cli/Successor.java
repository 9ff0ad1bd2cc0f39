package io.reactorublk.samples.cli;

import java.time.Duration;

/**
 * A process that wants to serve our device in our place. It comes by our {@link Door}, and both speak in lines:
 *
 * <pre>
 *   successor                   we
 *   hand over          ────►
 *                      ◄────    yours; or why not, and we go on
 *   served             ────►    we end
 *   failed             ────►    we take the device back
 *                      ◄────    back; or why not
 * </pre>
 *
 * If it ends without a word, or says none for a minute, it has failed; if we do, the device is its. So whoever dies, and whenever, the device has one
 * server in the end, and never two: the driver gives it to nobody while another one has it.
 */
final class Successor implements AutoCloseable {

    static final String HAND_OVER = "hand over";
    static final String YOURS = "yours";
    static final String SERVED = "served";
    static final String FAILED = "failed";
    static final String BACK = "back";

    /** Longer than letting go of a device, or recovering it, may take: who is silent for so long stands still, or hangs. */
    static final Duration PATIENCE = Duration.ofSeconds(60);

    private final Lines lines;

    Successor(Lines lines) {
        this.lines = lines;
    }

    /** It may recover the device. Waits until it has; whether it serves it. Who is late may do so yet: the driver knows. */
    boolean takesOver() {
        lines.write(YOURS);
        return SERVED.equals(lines.read(PATIENCE));
    }

    /** The device is served by us again. */
    void hasFailed() {
        lines.write(BACK);
    }

    /** It does not get the device, or we do not get it back. */
    void refuse(String why) {
        lines.write(why);
    }

    @Override
    public void close() {
        lines.close();
    }
}
