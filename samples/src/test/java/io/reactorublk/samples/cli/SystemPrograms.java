package io.reactorublk.samples.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/** udev and systemd, which look for their parts at fixed places. */
final class SystemPrograms {

    private static final long LIMIT_SECONDS = 120;

    private SystemPrograms() {}

    /** How a program ended, and what it said. */
    record Result(int status, String output) {}

    /**
     * Puts what with-ublk has fetched where it belongs, beside what is installed: in its virtual machine, whose files are forgotten.
     * Elsewhere they have to be installed.
     */
    static void install() throws IOException {
        String fetched = System.getenv("WITH_UBLK_TOOLS");
        if (fetched == null || !Files.isDirectory(Path.of("/run/with-ublk"))) return;
        for (String root : fetched.split(":", -1)) {
            if (!Files.exists(Path.of(root, "lib/systemd")) && !Files.exists(Path.of(root, "usr/lib/systemd"))) continue;
            for (String folder : List.of("bin", "sbin", "lib", "usr/bin", "usr/sbin", "usr/lib")) {
                if (Files.isDirectory(Path.of(root, folder))) link(Path.of(root, folder), Path.of("/", folder));
            }
        }
    }

    /** What is missing there. */
    private static void link(Path from, Path to) throws IOException {
        if (!Files.exists(to, LinkOption.NOFOLLOW_LINKS)) {
            Files.createSymbolicLink(to, from);
        } else if (Files.isDirectory(from) && Files.isDirectory(to)) {
            try (DirectoryStream<Path> entries = Files.newDirectoryStream(from)) {
                for (Path entry : entries) link(entry, to.resolve(entry.getFileName()));
            }
        }
    }

    /** The path of a program that is in nobody's PATH. */
    static String daemon(String name) {
        return Stream.of("/lib/systemd/", "/usr/lib/systemd/").map(folder -> Path.of(folder, name)).filter(Files::isExecutable)
                .findFirst().orElseThrow(() -> new AssertionError("there is no " + name + " on this machine")).toString();
    }

    static Result run(String... command) throws IOException, InterruptedException {
        Path output = Files.createTempFile("output", ".txt");
        try {
            Process process = new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(output.toFile()).start();
            if (!process.waitFor(LIMIT_SECONDS, TimeUnit.SECONDS)) {
                process.destroyForcibly();
                throw new AssertionError(String.join(" ", command) + " hangs: " + Files.readString(output));
            }
            return new Result(process.exitValue(), Files.readString(output, StandardCharsets.UTF_8));
        } finally {
            Files.delete(output);
        }
    }

    static String succeed(String... command) throws IOException, InterruptedException {
        Result result = run(command);
        assertThat(result.status()).as("%s: %s", String.join(" ", command), result.output()).isZero();
        return result.output();
    }

    /** What systemd says of a unit, with something added, among those of this machine. */
    static Result verify(Path unit, String addition) throws IOException, InterruptedException {
        Path verified = Files.createDirectories(unit.resolveSibling("verified")).resolve(unit.getFileName());
        Files.writeString(verified, Files.readString(unit) + addition);
        return run("systemd-analyze", "verify", "--man=no", verified.toString());
    }
}
