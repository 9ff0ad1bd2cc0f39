package io.reactorublk.samples.cli;

import io.reactorublk.BlockTarget;
import io.reactorublk.Operation;
import io.reactorublk.samples.mirror.Bytes;
import io.reactorublk.target.Fault;
import io.reactorublk.target.Filters;
import io.reactorublk.uring.Errno;
import java.time.Duration;
import java.util.Arrays;
import java.util.Locale;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Trouble that a device makes on order: filters, as they are written on the command line. */
interface Trouble extends UnaryOperator<BlockTarget> {

    /** {@code 5ms}, {@code 100us}, {@code 2s}. */
    final class Time implements ITypeConverter<Duration> {

        private static final Pattern FORM = Pattern.compile("(\\d{1,9})(us|ms|s)");

        @Override
        public Duration convert(String text) {
            Matcher time = FORM.matcher(text);
            if (!time.matches()) throw new TypeConversionException("\"" + text + "\" is no time; 5ms, 100us and 2s are");
            long count = Long.parseLong(time.group(1));
            return switch (time.group(2)) {
                case "us" -> Duration.ofNanos(count * 1000);
                case "ms" -> Duration.ofMillis(count);
                default -> Duration.ofSeconds(count);
            };
        }
    }

    /** {@code 5ms}, or {@code write=5ms}. */
    final class Delay implements ITypeConverter<Trouble> {

        @Override
        public Trouble convert(String text) {
            int equals = text.indexOf('=');
            Duration time = new Time().convert(text.substring(equals + 1));
            UnaryOperator<BlockTarget> filter = equals < 0 ? Filters.delay(time) : Filters.delay(operation(text.substring(0, equals)), time);
            return filter::apply;
        }
    }

    /** {@code EIO}, narrowed by operations, {@code p=0.01}, {@code seed=7}, {@code at=1M+64K}, {@code first=3}, after colons. */
    final class Failure implements ITypeConverter<Trouble> {

        @Override
        public Trouble convert(String text) {
            try {
                UnaryOperator<BlockTarget> filter = Filters.fault(fault(text.split(":")));
                return filter::apply;
            } catch (IllegalArgumentException e) {
                throw new TypeConversionException("\"" + text + "\" is no fault: " + e.getMessage());
            }
        }

        private static Fault fault(String[] parts) {
            Fault fault = Fault.of(errno(parts[0]));
            double probability = 1;
            long seed = 0;
            for (String part : Arrays.asList(parts).subList(1, parts.length)) {
                int equals = part.indexOf('=');
                String value = part.substring(equals + 1);
                switch (part.substring(0, Math.max(equals, 0))) {
                    case "" -> fault = on(fault, value.split(","));
                    case "p" -> probability = Double.parseDouble(value);
                    case "seed" -> seed = Long.parseLong(value);
                    case "first" -> fault = fault.first(Long.parseLong(value));
                    case "at" -> fault = within(fault, value);
                    default -> throw new IllegalArgumentException(part + "; p=, seed=, first= and at=OFFSET+LENGTH are possible");
                }
            }
            return fault.randomly(probability, seed);
        }

        private static Errno errno(String name) {
            return Arrays.stream(Errno.values()).filter(errno -> errno.name().equals(name)).findAny()
                    .orElseThrow(() -> new IllegalArgumentException("it must begin with an errno, such as EIO or ENOSPC"));
        }

        private static Fault on(Fault fault, String[] names) {
            Operation[] operations = Arrays.stream(names).map(Trouble::operation).toArray(Operation[]::new);
            return fault.on(operations[0], operations);
        }

        private static Fault within(Fault fault, String place) {
            String[] range = place.split("\\+", 2);
            if (range.length == 2) return fault.within(Bytes.parse(range[0]), Bytes.parse(range[1]));
            throw new IllegalArgumentException("at=" + place + "; a place is OFFSET+LENGTH, such as 1M+64K");
        }
    }

    private static Operation operation(String name) {
        return Arrays.stream(Operation.values()).filter(operation -> operation.name().equals(name.toUpperCase(Locale.ROOT)))
                .findAny().orElseThrow(() -> new TypeConversionException(
                        "\"" + name + "\" is no operation; read, write, flush, discard and write_zeroes are"));
    }
}
