package io.reactorublk.samples.mirror;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.Charset;

/** Runs a program of the system, such as mkfs, and says what it said if it fails. */
final class Tool {

    /** A program failed. */
    static final class FailedException extends RuntimeException {

        FailedException(String message) {
            super(message);
        }
    }

    private static final ProcessBuilder.Redirect NOTHING = ProcessBuilder.Redirect.from(new File("/dev/null"));

    private Tool() {}

    /**
     * Runs it to its end.
     *
     * @return what it printed
     * @throws FailedException if its exit status is not 0, or if it cannot be started
     * @throws InterruptedException if this program is to end; the other has been ended then
     */
    static String run(String... command) throws InterruptedException {
        Process process = start(command);
        try {
            String output = new String(process.getInputStream().readAllBytes(), Charset.defaultCharset());
            int status = process.waitFor();
            if (status == 0) return output;
            throw new FailedException("%s failed with status %d:%n%s".formatted(String.join(" ", command), status, output));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } finally {
            process.destroy();
        }
    }

    /**
     * Starts it.
     *
     * @throws FailedException if it cannot be started
     */
    static Process start(String... command) {
        try {
            return new ProcessBuilder(command).redirectErrorStream(true).redirectInput(NOTHING).start();
        } catch (IOException e) {
            throw new FailedException("cannot run " + command[0] + ": " + e.getMessage());
        }
    }
}
