package io.reactorublk.samples.mirror;

import java.io.Console;
import java.io.PrintStream;
import java.util.Optional;
import java.util.function.IntSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Shows what goes on: on a terminal one line that is drawn again and again, elsewhere a plain line now and then.
 */
final class LiveLine implements AutoCloseable {

    /** Back to the start of the line, and clear it. */
    static final String CLEAR = "\r\033[K";

    private static final long DRAW_MILLIS = 200;
    private static final long TELL_MILLIS = 5_000;

    private final PrintStream out = System.out;
    private final boolean terminal = isTerminal();
    private final Thread painter = new Thread(this::paint, "live-line");
    private final long startNanos = System.nanoTime();
    private String phase = "starting";
    private @Nullable Traffic traffic;
    private IntSupplier live = () -> 0;
    private int members;
    private long lastBytes;
    private long lastNanos = startNanos;
    private boolean closed;

    LiveLine() {
        painter.setDaemon(true);
        painter.start();
    }

    /** In a virtual machine the output is a pipe; with-ublk tells what is at the other end. */
    static boolean isTerminal() {
        return "1".equals(System.getenv("RUBLK_TTY"))
                || Optional.ofNullable(System.console()).filter(Console::isTerminal).isPresent();
    }

    /** From now on shows this traffic. */
    synchronized void watch(Traffic watched, MirrorSet set) {
        traffic = watched;
        live = () -> Integer.bitCount(set.live());
        members = set.members();
        lastBytes = 0;
    }

    synchronized void phase(String name) {
        phase = name;
        if (!terminal) tell("%5.1f s  %s".formatted(seconds(), name));
    }

    /** A line that stays. */
    synchronized void say(String line) {
        tell("%s%5.1f s  %s".formatted(terminal ? CLEAR : "", seconds(), line));
    }

    private void tell(String line) {
        out.println(line);
        out.flush();
    }

    double seconds() {
        return (System.nanoTime() - startNanos) / 1e9;
    }

    private void paint() {
        try {
            while (draw()) Thread.sleep(terminal ? DRAW_MILLIS : TELL_MILLIS);
        } catch (InterruptedException e) {
            // closed
        }
    }

    private synchronized boolean draw() {
        Traffic seen = traffic;
        if (closed || seen == null) return !closed;
        long bytes = seen.readBytes() + seen.writtenBytes();
        long now = System.nanoTime();
        double mibPerSecond = (bytes - lastBytes) / 1048576.0 / ((now - lastNanos) / 1e9);
        lastBytes = bytes;
        lastNanos = now;
        String line = "%5.1f s  %-28s %7.1f MiB/s  %3d tags in flight  replicas %d/%d".formatted(
                seconds(), phase, mibPerSecond, seen.inFlight(), live.getAsInt(), members);
        if (terminal) {
            out.print(CLEAR + line);
            out.flush();
        } else {
            tell(line);
        }
        return true;
    }

    @Override
    public synchronized void close() {
        closed = true;
        painter.interrupt();
        if (terminal) out.print(CLEAR);
        out.flush();
    }
}
