package io.reactorublk.samples.mapped;

import io.reactorublk.DataMode;
import io.reactorublk.UblkServer;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import reactor.core.publisher.Mono;

/** A volume in a process of its own, to be killed. */
final class MappedProcess {

    private static final String SERVING = "serving ";

    private MappedProcess() {}

    /** The process: {@code DATA MAP BYTES EXTENT_BYTES MODE}. Says what it serves, and goes on. */
    public static void main(String[] args) {
        MappedTarget volume = MappedTarget.open(Path.of(args[0]), Path.of(args[1]), Long.parseLong(args[2]), Integer.parseInt(args[3]));
        System.out.println(SERVING + Objects.requireNonNull(
                UblkServer.create().size(volume.sizeBytes()).queueDepth(16).fua()
                        .dataMode(DataMode.valueOf(args[4])).serve(volume).start().block()).path());
        Mono.never().block();
    }

    static Process start(Path data, Path map, long bytes, int extentBytes, DataMode mode) throws IOException {
        return new ProcessBuilder(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-Xmx128m",
                "-Xshare:auto", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "--enable-native-access=ALL-UNNAMED",
                "-cp", System.getProperty("java.class.path"), MappedProcess.class.getName(),
                data.toString(), map.toString(), "" + bytes, "" + extentBytes, mode.name())).redirectErrorStream(true).start();
    }

    /** Waits until it serves, and says what. */
    static Path served(Process process) throws IOException {
        StringBuilder all = new StringBuilder();
        BufferedReader lines = process.inputReader();
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            if (line.startsWith(SERVING)) return Path.of(line.substring(SERVING.length()));
            all.append(line).append('\n');
        }
        throw new AssertionError("it serves nothing:\n" + all);
    }
}
