import io.reactorublk.micrometer.UblkMeter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.stream.Collectors;

/** {@code MeterTable FILE}: the manual's table of meters, from the enum that also names them where they are registered. */
final class MeterTable {

    public static void main(String[] args) throws IOException {
        StringBuilder table = new StringBuilder("[cols=\"3,2,3,5\"]\n|===\n| meter | type, unit | tags | what it says\n\n");
        for (UblkMeter meter : UblkMeter.values()) {
            table.append("| `%s` | %s%s | %s | %s\n".formatted(meter.meterName(),
                    meter.type().name().toLowerCase(Locale.ROOT).replace('_', ' '), meter.unit().isEmpty() ? "" : ", " + meter.unit(),
                    meter.tags().stream().map(tag -> '`' + tag + '`').collect(Collectors.joining(", ")), meter.description()));
        }
        Files.writeString(Path.of(args[0]), table + "|===\n");
    }
}
