package io.reactorublk.samples.cli;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;

/**
 * The command at a path, for other programs to call. A server is a JVM; all else the script lets this JVM do, because to start
 * another one takes long in an emulated machine.
 */
final class InstalledCommand implements AutoCloseable {

    /** Where files of {@code src/main} say that it is. */
    private static final String INSTALLED = "/usr/local/bin/reactor-ublk";

    private final ServerSocket door = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
    private final Path script;

    InstalledCommand(Path folder) throws IOException {
        script = Files.writeString(folder.resolve("reactor-ublk"), """
                #!/bin/bash
                case $1 in add) exec %s "$@" ;; esac
                exec 3<>/dev/tcp/%s/%d && echo "$*" >&3 && read -r status <&3 && cat <&3
                exit "${status:-1}"
                """.formatted(String.join(" ", java()), door.getInetAddress().getHostAddress(), door.getLocalPort()));
        Files.setPosixFilePermissions(script, PosixFilePermissions.fromString("rwxr-xr-x"));
        Thread.ofPlatform().daemon().name("command").start(this::listen);
    }

    /** A JVM that executes the command; its arguments follow. */
    static List<String> java() {
        return new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-Xmx128m", "-Xshare:auto",
                "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "--enable-native-access=ALL-UNNAMED", "-cp",
                System.getProperty("java.class.path"), ReactorUblk.class.getName()));
    }

    /** A copy of a file of {@code src/main} that finds it. */
    void copy(String source, Path target) throws IOException {
        String text = Files.readString(sources().resolve(source));
        if (!text.contains(INSTALLED)) throw new AssertionError(source + " does not call the command");
        Files.writeString(target, text.replace(INSTALLED, script.toString()));
    }

    /** {@code src/main} of this module, which Maven runs us in; an IDE may do so above it. */
    static Path sources() {
        Path here = Path.of("src", "main");
        return Files.isDirectory(here) ? here : Path.of("samples").resolve(here);
    }

    private void listen() {
        try {
            while (true) {
                Socket caller = door.accept();
                Thread.ofPlatform().daemon().name("caller").start(() -> answer(caller));
            }
        } catch (IOException closed) {
            // Nobody calls any more.
        }
    }

    private static void answer(Socket caller) {
        try (caller) {
            String[] arguments = new BufferedReader(new InputStreamReader(caller.getInputStream(), UTF_8)).readLine().split(" ", -1);
            StringWriter out = new StringWriter();
            int status = ReactorUblk.commandLine(Machine.linux(), new Signals())
                    .setOut(new PrintWriter(out, true)).setErr(new PrintWriter(System.err, true, UTF_8)).execute(arguments);
            caller.getOutputStream().write((status + "\n" + out).getBytes(UTF_8));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public void close() throws IOException {
        door.close();
        Files.deleteIfExists(script);
    }
}
