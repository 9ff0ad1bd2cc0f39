package io.reactorublk.samples.mirror;

import java.util.Locale;

/** Sizes for people. */
public final class Bytes {

    private Bytes() {}

    /**
     * "256M" and its like, in powers of 1024.
     *
     * @throws IllegalArgumentException for anything else
     */
    public static long parse(String text) {
        String number = text.strip().toUpperCase(Locale.ROOT).replaceAll("I?B?$", "");
        int digits = number.length();
        int shift = number.isEmpty() ? 0 : 10 * ("KMGT".indexOf(number.charAt(number.length() - 1)) + 1);
        try {
            return Math.multiplyExact(Long.parseLong(number.substring(0, shift == 0 ? digits : digits - 1)), 1L << shift);
        } catch (ArithmeticException | NumberFormatException e) {
            throw new IllegalArgumentException("\"" + text + "\" is no size; 256M and 4G are");
        }
    }

    /** Such as 1.5 MiB. */
    public static String mib(long bytes) {
        return "%.1f MiB".formatted(bytes / 1048576.0);
    }
}
