package io.reactorublk.samples.cli;

import io.reactorublk.samples.mirror.Bytes;
import java.util.Locale;
import picocli.CommandLine;

/** Sizes such as 512M or 4G, in bytes; in powers of 1024. */
final class Size implements CommandLine.ITypeConverter<Long> {

    private static final String UNITS = "BKMGT";

    @Override
    public Long convert(String text) {
        try {
            return Bytes.parse(text);
        } catch (IllegalArgumentException e) {
            throw new CommandLine.TypeConversionException(e.getMessage());
        }
    }

    /** Those that are an int. */
    static final class Small implements CommandLine.ITypeConverter<Integer> {

        @Override
        public Integer convert(String text) {
            long bytes = new Size().convert(text);
            if (bytes == (int) bytes) return (int) bytes;
            throw new CommandLine.TypeConversionException("\"" + text + "\" is too large; 2047M is the most");
        }
    }

    /** As {@link #convert} reads it, where that is exact; else with one digit after the point. */
    static String text(long bytes) {
        int unit = 0;
        double size = bytes;
        while (size >= 1024 && unit < UNITS.length() - 1) {
            size /= 1024;
            unit++;
        }
        String number = size == Math.rint(size) ? Long.toString((long) size) : String.format(Locale.ROOT, "%.1f", size);
        return unit == 0 ? number : number + UNITS.charAt(unit);
    }
}
