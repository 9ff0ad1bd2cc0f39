package io.reactorublk.samples.cli;

import com.fasterxml.jackson.jr.ob.JSON;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.Map;
import picocli.CommandLine.Help.Ansi;

/** How results are shown: to people, with colours if that is a terminal, or to programs. */
final class Output {

    /** A choice of the command line. */
    enum Format {
        text,
        json
    }

    private static final JSON FORMAT = JSON.std.with(JSON.Feature.PRETTY_PRINT_OUTPUT, JSON.Feature.WRITE_RECORD_FIELDS_IN_DECLARATION_ORDER);
    private static final String GAP = "  ";

    private final Format format;
    private final PrintWriter out;
    private final Ansi colours;

    Output(Format format, PrintWriter out, Ansi colours) {
        this.format = format;
        this.out = out;
        this.colours = colours;
    }

    boolean isJson() {
        return format == Format.json;
    }

    /** Records, maps, lists, strings, numbers and booleans. Names and units of what is in there are a promise to scripts. */
    void json(Object value) {
        try {
            say(FORMAT.asString(value));
        } catch (IOException e) {
            throw new UncheckedIOException(e);                         // there is no I/O in a String
        }
    }

    /** A line of picocli's markup. */
    void say(String line) {
        out.println(isJson() ? line : colours.string(line));
        out.flush();
    }

    /** Name and value, one below the other. */
    void facts(Map<String, ?> facts) {
        int width = facts.keySet().stream().mapToInt(String::length).max().orElse(0);
        facts.forEach((name, value) -> say(padded(name, width) + GAP + value));
    }

    /** Columns, as wide as they must be; the first row is the heading. */
    void table(List<List<String>> rows) {
        int[] widths = new int[rows.getFirst().size()];
        for (List<String> row : rows) {
            for (int i = 0; i < widths.length; i++) widths[i] = Math.max(widths[i], visible(row.get(i)));
        }
        for (List<String> row : rows) {
            StringBuilder line = new StringBuilder();
            for (int i = 0; i < widths.length - 1; i++) line.append(padded(row.get(i), widths[i])).append(GAP);
            say(line.append(row.getLast()).toString());
        }
    }

    private static String padded(String text, int width) {
        return text + " ".repeat(width - visible(text));
    }

    /** Without the markup. */
    private static int visible(String text) {
        return Ansi.OFF.string(text).length();
    }
}
