package io.reactorublk.samples.cli;

import org.jspecify.annotations.Nullable;

/** The process that serves a device until we do. What both say is told in {@link Successor}. */
final class Predecessor implements AutoCloseable {

    private final Lines lines;

    Predecessor(Lines lines) {
        this.lines = lines;
    }

    /**
     * Waits until it has let go of its device.
     *
     * @throws FailedException with its reason, if it goes on
     */
    void handsOver() {
        lines.write(Successor.HAND_OVER);
        String answer = lines.read(Successor.PATIENCE);
        if (answer == null && lines.isClosed()) {
            throw new FailedException("the process that serves it has not answered for %d s; does it stand still?".formatted(
                    Successor.PATIENCE.toSeconds()));
        }
        if (answer != null && !answer.equals(Successor.YOURS)) throw new FailedException(answer);
    }

    /** Its device is ours. */
    void mayEnd() {
        lines.write(Successor.SERVED);
    }

    /** It is not. Why it has not got it back, or null if it has. */
    @Nullable String takesBack() {
        lines.write(Successor.FAILED);
        String answer = lines.read(Successor.PATIENCE);
        if (answer == null) return "it has ended, or stands still";
        return answer.equals(Successor.BACK) ? null : answer;
    }

    @Override
    public void close() {
        lines.close();
    }
}
