package io.reactorublk.samples.cli;

import com.fasterxml.jackson.jr.ob.JSON;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;

/**
 * Who looks what a server does, by its {@link Door}; and what the server answers. Lines again, for as long as who looks likes:
 *
 * <pre>
 *   who looks          server
 *   look       ────►
 *              ◄────   an {@link Activity} as JSON, of all queues together
 *              ◄────   one of each
 *              ◄────   an empty line
 * </pre>
 */
final class Watch implements AutoCloseable {

    static final String LOOK = "look";

    private static final JSON FORMAT = JSON.std.with(JSON.Feature.WRITE_RECORD_FIELDS_IN_DECLARATION_ORDER);
    private static final String END = "";

    private final Lines lines;

    Watch(Lines lines) {
        this.lines = lines;
    }

    /** What it did since the last look. Waits for it; empty if it has ended, or does not tell. */
    List<Activity> look() {
        lines.write(LOOK);
        List<Activity> activities = new ArrayList<>();
        try {
            for (String line = lines.read(); !END.equals(line); line = lines.read()) {
                if (line == null) return List.of();
                activities.add(FORMAT.beanFrom(Activity.class, line));
            }
        } catch (IOException strange) {
            return List.of();                                          // it is another version, which speaks otherwise
        }
        return activities;
    }

    /** The server's side: after the first {@link #LOOK}, until who looks has gone. */
    static void answer(Lines lines, Statistics.Look look) {
        do {
            for (Activity activity : look.next()) lines.write(text(activity));
            lines.write(END);
        } while (LOOK.equals(lines.read()));
    }

    private static String text(Activity activity) {
        try {
            return FORMAT.asString(activity);
        } catch (IOException e) {
            throw new UncheckedIOException(e);                 // there is no I/O in a String
        }
    }

    @Override
    public void close() {
        lines.close();
    }
}
