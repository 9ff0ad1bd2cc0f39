package io.reactorublk.samples.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.jr.ob.JSON;
import io.reactorublk.DeviceStatus;
import io.reactorublk.Feature;
import io.reactorublk.Recovery;
import io.reactorublk.UblkControl;
import io.reactorublk.UblkDevice;
import io.reactorublk.UblkServer;
import io.reactorublk.memory.MemoryUblk;
import io.reactorublk.target.NullTarget;
import io.reactorublk.uring.Kernel;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.assertj.core.api.InstanceOfAssertFactories;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;
import reactor.core.publisher.Mono;

/** What the commands print and answer, on a machine in memory. */
class ReactorUblkTest {

    private static final long GIB = 1L << 30;

    private final MemoryUblk ublk = MemoryUblk.create();
    private final StringWriter out = new StringWriter();
    private final StringWriter err = new StringWriter();

    @AfterEach
    void close() {
        ublk.close();
    }

    private final Signals signals = new Signals();
    private Consumer<UblkDevice> whileServed = device -> { };
    private final Machine machine = new Machine() {
        @Override
        public Kernel kernel() {
            return ublk.kernel();
        }

        @Override
        public <T> @Nullable T await(Mono<T> outcome) {
            T result = ublk.get(outcome);
            if (result instanceof UblkDevice device) whileServed.accept(device);
            return result;
        }
    };

    private UblkServer server() {
        return UblkServer.create().kernel(ublk.kernel()).size(GIB).queues(2).queueDepth(8).maxIoBytes(64 << 10)
                .serve(new NullTarget());
    }

    private UblkDevice start(UblkServer server) {
        return Objects.requireNonNull(ublk.get(server.start()));
    }

    private int run(String... arguments) {
        out.getBuffer().setLength(0);
        err.getBuffer().setLength(0);
        CommandLine command = ReactorUblk.commandLine(machine, signals)
                .setOut(new PrintWriter(out, true)).setErr(new PrintWriter(err, true));
        return command.execute(arguments);
    }

    private String succeed(String... arguments) {
        assertThat(run(arguments)).as(err.toString()).isZero();
        assertThat(err.toString()).isEmpty();
        return out.toString();
    }

    private String refusal(int status, String... arguments) {
        assertThat(run(arguments)).as(err.toString()).isEqualTo(status);
        assertThat(out.toString()).isEmpty();
        return err.toString();
    }

    @Test
    void withoutDevicesTheListSaysSo() throws IOException {
        assertThat(succeed("list")).isEqualToIgnoringNewLines("There is no ublk device on this machine.");
        assertThat(JSON.std.listFrom(succeed("list", "--output", "json"))).isEmpty();
    }

    @Test
    void theListHasALineForEachDeviceAndNoColoursOutsideATerminal() {
        start(server().id(4));
        start(server().id(0).recovery(Recovery.HOLD));
        List<String> lines = succeed("list").lines().toList();
        assertThat(lines).hasSize(3);
        assertThat(lines.get(0)).startsWith("DEVICE       STATE  SIZE  QUEUES  DEPTH  MAX-IO  RECOVERY  SERVER");
        assertThat(lines.get(1)).startsWith("/dev/ublkb0  live   1G    2       8      64K     hold      pid ");
        assertThat(lines.get(2)).startsWith("/dev/ublkb4  live   1G    2       8      64K     none      pid ");
    }

    @Test
    void aDeviceWithoutItsServerIsSeenAndCanBeRemoved() {
        start(server().recovery(Recovery.REISSUE));
        ublk.kill();
        assertThat(succeed("list")).contains("/dev/ublkb0  quiesced  1G");
        assertThat(succeed("inspect", "0")).containsPattern("state +quiesced\n").contains("reactor-ublk recover 0 TARGET serves it again");
        assertThat(succeed("remove", "0")).isEqualToIgnoringNewLines("/dev/ublkb0: removed");
        ublk.assertNothingIsLeft();
    }

    @Test
    void aDeviceThatDiedWithItsServerIsSeenAndCanBeRemoved() {
        start(server());
        ublk.kill();
        assertThat(succeed("list")).contains("/dev/ublkb0  dead");
        succeed("remove", "0");
        ublk.assertNothingIsLeft();
    }

    @Test
    void inspectionTellsProgramsEverything() throws IOException {
        start(server().readOnly().fua().recovery(Recovery.FAIL_FAST));
        Map<String, Object> device = JSON.std.mapFrom(succeed("inspect", "0", "--output", "json"));
        assertThat(device).containsEntry("id", 0).containsEntry("path", "/dev/ublkb0").containsEntry("state", "LIVE")
                .containsEntry("serverPid", (int) ProcessHandle.current().pid()).containsEntry("serverAlive", true)
                .containsEntry("queues", 2).containsEntry("queueDepth", 8).containsEntry("maxIoBytes", 64 << 10)
                .containsEntry("recovery", "FAIL_FAST").containsEntry("recoverable", false)
                .containsEntry("sizeBytes", (int) GIB).containsEntry("readOnly", true).containsEntry("fua", true);
        assertThat(device.get("features")).asInstanceOf(InstanceOfAssertFactories.LIST).contains("BATCH_IO", "USER_RECOVERY");
        assertThat(JSON.std.listFrom(succeed("-o", "json", "list"))).containsExactly(device);
    }

    @Test
    void aDeviceIsResized() {
        UblkDevice device = start(server());
        assertThat(succeed("resize", "0", "3G")).isEqualToIgnoringNewLines("/dev/ublkb0: resized to 3G");
        assertThat(ublk.disk(device).sizeBytes()).isEqualTo(3 * GIB);
        assertThat(refusal(2, "resize", "0", "1000"))
                .isEqualToIgnoringNewLines("reactor-ublk: a device of 1000 bytes: positive multiples of its block size, 512, are possible");
        assertThat(refusal(2, "resize", "0", "much")).startsWith("Invalid value for positional parameter at index 1 (SIZE): "
                + "\"much\" is no size; 256M and 4G are");
        assertThat(ublk.disk(device).sizeBytes()).isEqualTo(3 * GIB);
    }

    @Test
    void aStoppedDeviceIsGone() {
        UblkDevice device = start(server());
        assertThat(succeed("stop", "0")).isEqualToIgnoringNewLines("/dev/ublkb0: stopped");
        ublk.get(device.onDispose());
        ublk.assertNothingIsLeft();
    }

    @Test
    void aDeviceInUseIsNotStoppedIfThatMatters() {
        UblkDevice device = start(server());
        ublk.disk(device).open();
        assertThat(refusal(1, "stop", "--if-unused", "0")).isEqualToIgnoringNewLines(
                "reactor-ublk: device 0 is in use and was not stopped; unmount it, or stop it without --if-unused");
        assertThat(device.isDisposed()).isFalse();
    }

    @Test
    void anUnusedDeviceIsStopped() {
        UblkDevice device = start(server());
        succeed("stop", "--if-unused", "0");
        ublk.get(device.onDispose());
        ublk.assertNothingIsLeft();
    }

    @Test
    void theDriverTellsWhatItCan() throws IOException {
        assertThat(succeed("features")).containsPattern("BATCH_IO +yes +Linux 7.0").containsPattern("ZONED +no +Linux 6.6");
        assertThat(JSON.std.mapFrom(succeed("features", "-o", "json")))
                .containsEntry("BATCH_IO", true).containsEntry("ZONED", false);
    }

    @Test
    void whatFailsIsOneLineWithTheRemedy() {
        for (String command : List.of("inspect", "stop", "remove")) {
            assertThat(refusal(1, command, "7").lines()).singleElement().asString()
                    .startsWith("reactor-ublk: UBLK_U_CMD_").contains("of device 7: ENODEV", "There is no device 7");
        }
    }

    @Test
    void theStackTraceIsForThoseWhoAskForIt() {
        assertThat(refusal(1, "inspect", "7", "--verbose")).contains("io.reactorublk.uring.KernelException", "\tat io.reactorublk");
    }

    @Test
    void whatIsNotUnderstoodHasItsOwnStatus() {
        assertThat(refusal(2)).contains("A command is missing", "Usage: reactor-ublk");
        assertThat(refusal(2, "mount")).contains("Unmatched argument", "mount");
        assertThat(refusal(2, "inspect", "first")).contains("'first' is not an int");
        assertThat(refusal(2, "list", "-o", "xml")).contains("text, json");
    }

    @Test
    void helpIsNoFailure() {
        assertThat(succeed("--help")).contains("list", "inspect", "stop", "remove", "resize", "features", "Exit status");
        assertThat(succeed("resize", "--help")).contains("ID", "SIZE");
    }

    // ------------------------------------------------------------------------------------------- serving

    /** Adds a device in this process, has a look at it, and Ctrl-C. */
    private void serve(Consumer<UblkDevice> look, String... arguments) {
        whileServed = device -> {
            look.accept(device);
            signals.ask();
        };
        assertThat(run(arguments)).as(err.toString()).isZero();
        ublk.assertNothingIsLeft();
    }

    private DeviceStatus status(UblkDevice device) {
        try (UblkControl control = UblkControl.create(ublk.kernel(), Duration.ofSeconds(1))) {
            return Objects.requireNonNull(ublk.get(control.inspect(device.id())));
        }
    }

    @Test
    void aDeviceIsServedUntilASignalArrives() {
        serve(device -> {
            ublk.get(ublk.disk(device).write(0, new byte[] {1, 2}));
            assertThat(ublk.get(ublk.disk(device).read(0, 2))).containsExactly(1, 2);
        }, "add", "ram", "--size", "1M", "--foreground");
        assertThat(out.toString()).isEqualToIgnoringNewLines("/dev/ublkb0: served; Ctrl-C removes it");
    }

    @Test
    void aDeviceIsAsItsOptionsSay() {
        serve(device -> {
            DeviceStatus status = status(device);
            assertThat(status.id()).isEqualTo(7);
            assertThat(status.queues()).isEqualTo(2);
            assertThat(status.queueDepth()).isEqualTo(16);
            assertThat(status.maxIoBytes()).isEqualTo(128 << 10);
            assertThat(status.recovery()).isEqualTo(Recovery.HOLD);
            assertThat(status.features()).contains(Feature.USER_COPY);
            assertThat(ublk.disk(device).sizeBytes()).isEqualTo(8 * GIB);
        }, "add", "--queues", "2", "null", "--size=8G", "--id=7", "--depth=16", "--max-io=128K", "--recovery=hold",
                "--data-mode=user_copy", "--foreground", "-o", "json");
        assertThat(out.toString()).contains("\"path\" : \"/dev/ublkb7\"");
    }

    @Test
    void aDeviceMakesTheTroubleThatWasOrdered() {
        serve(device -> {
            ublk.get(ublk.disk(device).write(8192, new byte[512]));
            assertThatThrownBy(() -> ublk.get(ublk.disk(device).write(4096, new byte[512]))).hasMessageContaining("ENOSPC");
            ublk.get(ublk.disk(device).read(4096, 512));
            ublk.get(ublk.disk(device).write(4096, new byte[512]));
        }, "add", "ram", "--size", "1M", "--foreground", "--delay", "read=1ms", "--fault", "ENOSPC:write:at=4K+512:first=1");
    }

    @Test
    void whatWouldLoseDataIsRefused() {
        assertThat(refusal(2, "add", "file", "disk", "--foreground", "--write-through")).contains("would lose writes");
        assertThat(refusal(2, "add", "ram", "--foreground", "--recovery", "hold")).contains("dies with its server");
        assertThat(refusal(2, "recover", "0", "ram")).contains("Unmatched argument at index 2: 'ram'");
    }

    @Test
    void whatCannotBeServedIsRefusedWithTheRemedy() {
        assertThat(refusal(2, "add", "ram", "--foreground")).contains("Add --size SIZE");
        assertThat(refusal(2, "add")).contains("A target is missing");
        assertThat(refusal(1, "add", "file", "/nowhere/disk", "--foreground")).contains("/nowhere/disk");
        assertThat(refusal(2, "add", "null", "--foreground", "--depth", "1")).contains("from 2 to 4096 is possible");
        assertThat(refusal(2, "add", "null", "--delay", "soon")).contains("\"soon\" is no delay; 5ms");
        assertThat(refusal(2, "add", "null", "--fault", "OOPS")).contains("it must begin with an errno");
        assertThat(refusal(2, "add", "null", "--fault", "EIO:write:sometimes=1")).contains("p=, seed=, first= and at=");
        ublk.assertNothingIsLeft();
    }

    @Test
    void aDeviceIsRecoveredAsItWas() {
        start(server().recovery(Recovery.REISSUE));
        ublk.kill();
        whileServed = device -> {
            assertThat(ublk.disk(device).sizeBytes()).isEqualTo(GIB);
            assertThat(succeed("list")).contains("/dev/ublkb0  live");
            signals.ask();
        };
        assertThat(run("recover", "0", "null", "--foreground")).as(err.toString()).isZero();
        ublk.assertNothingIsLeft();
    }
}
