package io.reactorublk.samples.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine.Help.Ansi;

/** A server in a process of its own, from the side of who starts it. The servers here are shell scripts. */
class DaemonTest {

    @TempDir
    Path folder;

    private final StringWriter out = new StringWriter();

    private int launch(Signals signals, String script) throws IOException, InterruptedException {
        return new Daemon(List.of("sh", "-c", script), folder.resolve("run"), folder.resolve("log"))
                .launch(new Output(Output.Format.text, new PrintWriter(out), Ansi.OFF), signals);
    }

    /** All of it at once, as a server does. */
    private static String ready(String told) {
        return "printf '" + told + "' >\"$REACTOR_UBLK_READY.new\"; mv \"$REACTOR_UBLK_READY.new\" \"$REACTOR_UBLK_READY\"";
    }

    private static List<String> names(Path in) throws IOException {
        try (Stream<Path> files = Files.list(in)) {
            return files.map(file -> file.getFileName().toString()).toList();
        }
    }

    @Test
    void whenItsDeviceIsThereTheCommandIsDoneAndTheServerGoesOn() throws IOException, InterruptedException {
        assertThat(launch(new Signals(), "echo hello; echo $$ >" + folder + "/pid; " + ready("5") + "; sleep 60")).isZero();
        ProcessHandle server = ProcessHandle.of(Long.parseLong(Files.readString(folder.resolve("pid")).strip())).orElseThrow();
        try {
            assertThat(server.isAlive()).isTrue();
            assertThat(out.toString()).isEqualToIgnoringNewLines("/dev/ublkb5");
            assertThat(folder.resolve("log/ublkb5.log")).hasContent("hello");
            assertThat(names(folder.resolve("run"))).isEmpty();
            assertThat(Files.readString(Path.of("/proc/" + server.pid() + "/stat")).split(" ", -1)[5])
                    .as("a session of its own").isEqualTo(Long.toString(server.pid()));
        } finally {
            server.destroy();
        }
    }

    @Test
    void howLongTheDeviceWasNotServedIsTold() throws IOException, InterruptedException {
        assertThat(launch(new Signals(), ready("5 41"))).isZero();
        assertThat(out.toString()).isEqualToIgnoringNewLines("/dev/ublkb5, after a pause of 41 ms");
    }

    @Test
    void whenTheServerDiesFirstItsLastWordsAreTold() throws IOException {
        assertThatThrownBy(() -> launch(new Signals(), "seq 100; echo 'no ublk here' >&2; exit 1"))
                .isInstanceOf(FailedException.class)
                .hasMessageStartingWith("the server ended before its device was there").hasMessageEndingWith("\n99\n100\nno ublk here")
                .hasMessageNotContaining("\n91\n");
        assertThat(names(folder.resolve("log"))).isEmpty();
    }

    @Test
    void whatItDoesNotUnderstandIsToldAsSuch() {
        assertThatThrownBy(() -> launch(new Signals(), "echo 'a queue depth of 1' >&2; exit 2"))
                .isInstanceOf(IllegalArgumentException.class).hasMessageEndingWith("a queue depth of 1");
    }

    @Test
    void whoeverIsInterruptedMeanwhileTakesTheServerAlong() throws IOException, InterruptedException {
        Signals signals = new Signals();
        signals.ask();
        assertThat(launch(signals, "exec sleep 60")).isEqualTo(130);
        assertThat(out.toString()).isEmpty();
        assertThat(names(folder.resolve("run"))).isEmpty();
        assertThat(names(folder.resolve("log"))).isEmpty();
    }

    /** Numbers of processes come again, in a container soon. */
    @Test
    void whatAKilledCommandHasLeftIsNotBelieved() throws IOException {
        Path stale = Files.createDirectories(folder.resolve("run")).resolve("starting-" + ProcessHandle.current().pid());
        Files.writeString(stale, "3");
        assertThatThrownBy(() -> launch(new Signals(), "echo 'no ublk here'; exit 1")).hasMessageEndingWith("no ublk here");
    }

    @Test
    void nobodyElseComesToWhereTheDeviceIsAskedFor() throws IOException, InterruptedException {
        launch(new Signals(), ready("5"));
        assertThat(Files.getPosixFilePermissions(folder.resolve("run"))).isEqualTo(PosixFilePermissions.fromString("rwx------"));
    }
}
