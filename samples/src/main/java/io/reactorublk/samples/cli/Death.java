package io.reactorublk.samples.cli;

import io.reactorublk.BlockTarget;
import io.reactorublk.ControlListener;
import io.reactorublk.Operation;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/**
 * Where a server dies on order, as of SIGKILL: when the driver has executed a command, or when a request arrives.
 *
 * @param command {@code START_DEV}, if it is a command
 * @param operation if it is a request
 * @param count which of them
 */
record Death(@Nullable String command, @Nullable Operation operation, long count) {

    /** What changes the life of a device. */
    private static final Set<String> COMMANDS = Set.of("ADD_DEV", "SET_PARAMS", "START_DEV", "STOP_DEV", "DEL_DEV", "START_USER_RECOVERY",
            "END_USER_RECOVERY");

    /** {@code START_DEV}, {@code write}, {@code read:100}. */
    static final class Converter implements ITypeConverter<Death> {

        private static final Pattern FORM = Pattern.compile("(\\w+)(?::([1-9]\\d{0,17}))?");

        @Override
        public Death convert(String text) {
            Matcher step = FORM.matcher(text);
            if (step.matches()) {
                String name = step.group(1).toUpperCase(Locale.ROOT);
                long count = step.group(2) == null ? 1 : Long.parseLong(step.group(2));
                if (COMMANDS.contains(name)) return new Death(name, null, count);
                for (Operation operation : Operation.values()) if (operation.name().equals(name)) return new Death(null, operation, count);
            }
            throw new TypeConversionException("\"" + text + "\" is no step; these are: " + String.join(", ", COMMANDS.stream().sorted().toList())
                    + ", and requests such as write or read:100");
        }
    }

    /** Hears of the commands of one server. */
    ControlListener listener(Runnable die) {
        AtomicLong left = new AtomicLong(count);
        return (executed, deviceId, refusal, nanos) -> {
            if (refusal == null && executed.equals(command) && left.decrementAndGet() == 0) die.run();
        };
    }

    /** Sees the requests of all queues. */
    BlockTarget before(BlockTarget target, Runnable die) {
        if (operation == null) return target;
        AtomicLong left = new AtomicLong(count);
        return queue -> target.serve(queue.via(requests -> requests.doOnNext(request -> {
            if (request.operation() == operation && left.decrementAndGet() == 0) die.run();
        })));
    }
}
