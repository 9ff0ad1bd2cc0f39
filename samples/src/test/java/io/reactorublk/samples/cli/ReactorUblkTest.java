package io.reactorublk.samples.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.jr.ob.JSON;
import io.reactorublk.DeviceParameters;
import io.reactorublk.DeviceStatus;
import io.reactorublk.Feature;
import io.reactorublk.Recovery;
import io.reactorublk.SharedMemory;
import io.reactorublk.UblkControl;
import io.reactorublk.UblkDevice;
import io.reactorublk.UblkServer;
import io.reactorublk.memory.MemoryUblk;
import io.reactorublk.target.NullTarget;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.Kernel;
import io.reactorublk.uring.KernelException;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import java.util.function.LongConsumer;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.assertj.core.api.InstanceOfAssertFactories;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
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
    private boolean heededBefore;
    private @Nullable Path door;
    private @Nullable Path ownDoor;
    /** Who comes by it. */
    private @Nullable Runnable visitor;
    private final AtomicInteger deaths = new AtomicInteger();
    private final List<String> given = new ArrayList<>();
    private int held;
    private boolean nodesAreThere = true;
    private final Machine machine = new Machine() {
        @Override
        public Kernel kernel() {
            return ublk.kernel();
        }

        @Override
        public Optional<Lines> door(int id) {
            return door == null ? Optional.empty() : Lines.to(door);
        }

        @Override
        public @Nullable Door openDoor(int id, Statistics statistics, boolean handsOver, LongConsumer resize) throws IOException {
            return ownDoor == null ? null : Door.open(ownDoor, statistics, handsOver, resize);
        }

        @Override
        public Node node(String name) {
            if (!nodesAreThere) throw new KernelException("open " + name, Errno.ENOENT, "");
            held++;
            return new Node() {
                @Override
                public void giveTo(int uid, int gid) {
                    given.add("%s to %d %d".formatted(name, uid, gid));
                }

                @Override
                public void close() {
                    held--;
                }
            };
        }

        @Override
        public void die() {
            deaths.incrementAndGet();
        }

        @Override
        public <T> @Nullable T await(Mono<T> outcome) {
            Runnable visit = visitor;
            if (visit != null && ownDoor != null && Files.exists(ownDoor)) {
                visitor = null;
                visit.run();
            }
            boolean heeded = signals.areHeeded();
            T result = ublk.get(outcome);
            if (result instanceof UblkDevice device) {
                heededBefore = heeded;
                whileServed.accept(device);
            }
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
    void whatIsThereIsNotRemovedAsDead() {
        start(server().recovery(Recovery.HOLD));
        String refusal = "reactor-ublk: /dev/ublkb0 is there and was not removed; remove it without --if-dead";
        assertThat(refusal(1, "remove", "--if-dead", "0")).isEqualToIgnoringNewLines(refusal);
        ublk.kill();
        assertThat(refusal(1, "remove", "--if-dead", "0")).isEqualToIgnoringNewLines(refusal);
        succeed("remove", "0");
        assertThat(refusal(1, "remove", "--if-dead", "0")).contains("ENODEV");
    }

    @Test
    void aDeviceThatDiedWithItsServerIsSeenAndCanBeRemoved() {
        start(server());
        ublk.kill();
        assertThat(succeed("list")).contains("/dev/ublkb0  dead");
        succeed("remove", "--if-dead", "0");
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

    /** Or what there is of it would stay behind. */
    @Test
    void aSignalWaitsForADeviceThatIsBeingMade() {
        serve(device -> assertThat(heededBefore).isTrue(), "add", "null", "--foreground");
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
    void whatADeviceDoesIsToldToPrometheus() throws IOException {
        int port;
        try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            port = free.getLocalPort();
            assertThat(refusal(1, "add", "null", "--foreground", "--metrics", ":" + port)).contains("no metrics on port " + port);
        }
        serve(device -> {
            ublk.get(ublk.disk(device).write(0, new byte[512]));
            assertThat(get("http://127.0.0.1:" + port + "/metrics")).contains("ublk_request_bytes_total", "ublk_control");
        }, "add", "null", "--size", "1M", "--foreground", "--metrics", Integer.toString(port));
    }

    private static String get(String url) {
        try (InputStream page = URI.create(url).toURL().openStream()) {
            return new String(page.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Test
    void aDeviceIsForItsUsersAsItsOptionsSay() {
        serve(device -> {
            assertThat(status(device).features()).contains(Feature.NO_AUTO_PART_SCAN);
            assertThat(parameters(device).rotational()).isTrue();
            assertThat(parameters(device).physicalBlockSize()).isEqualTo(16 << 10);
            assertThat(ublk.kernel().affinity("ublk-0-q0").isEmpty()).as("runs anywhere").isTrue();
        }, "add", "null", "--size=1G", "--rotational", "--physical-block-size=16K", "--no-partition-scan", "--no-affinity", "--foreground");
        serve(device -> {
            assertThat(status(device).features()).doesNotContain(Feature.NO_AUTO_PART_SCAN);
            assertThat(parameters(device).rotational()).isFalse();
            assertThat(parameters(device).physicalBlockSize()).isEqualTo(4096);
            assertThat(ublk.kernel().affinity("ublk-0-q0").isEmpty()).as("runs anywhere").isFalse();
        }, "add", "null", "--size=1G", "--foreground");
    }

    private DeviceParameters parameters(UblkDevice device) {
        try (UblkControl control = UblkControl.create(ublk.kernel(), Duration.ofSeconds(1))) {
            return Objects.requireNonNull(ublk.get(control.parameters(device.id())));
        }
    }

    @Test
    void whatTheBlockLayerIsToldIsAsTheOptionsSay() {
        serve(device -> {
            DeviceParameters is = parameters(device);
            assertThat(is.maxDiscardBytes()).isZero();
            assertThat(is.maxWriteZeroesBytes()).isEqualTo(64 << 10);
            assertThat(is.dmaAlignment()).isEqualTo(512);
            assertThat(is.maxSegments()).isEqualTo(16);
            assertThat(is.maxSegmentBytes()).isEqualTo(64 << 10);
        }, "add", "null", "--max-discard=0", "--max-write-zeroes=64K", "--dma-alignment=512", "--max-segments=16:64K", "--foreground");
        serve(device -> {
            assertThat(parameters(device).discardGranularityBytes()).isEqualTo(64 << 10);
            assertThat(ublk.kernel().affinity("ublk-0-l0").isEmpty()).as("one loop for both queues").isFalse();
        }, "add", "null", "--discard-granularity=64K", "--queues=2", "--loops=1", "--foreground");
    }

    @Test
    void timesAndSegmentsThatAreNoneAreRefused() {
        assertThat(refusal(2, "add", "null", "--foreground", "--stop-grace", "ten")).contains("\"ten\" is no time; 5ms, 100us and 2s are");
        assertThat(refusal(2, "add", "null", "--foreground", "--deadline", "0s")).contains("a deadline of PT0S: it must be positive");
        assertThat(refusal(2, "add", "null", "--foreground", "--max-segments", "16")).contains("16:64K are");
        assertThat(refusal(2, "add", "null", "--foreground", "--die-at", "NOON")).contains("\"NOON\" is no step").contains("START_DEV");
    }

    @Test
    void aServerDiesWhereItIsTold() {
        serve(device -> assertThat(deaths).hasValue(1), "add", "null", "--size=1M", "--die-at=start_dev", "--foreground");
        serve(device -> {
            assertThat(deaths).hasValue(1);
            ublk.get(ublk.disk(device).write(0, new byte[512]));
            ublk.get(ublk.disk(device).read(0, 512));
            assertThat(deaths).hasValue(1);
            ublk.get(ublk.disk(device).write(0, new byte[512]));
            assertThat(deaths).hasValue(2);
        }, "add", "null", "--size=1M", "--die-at=write:2", "--foreground");
    }

    @Test
    void memoryIsSharedWithApplications() {
        Path path = Path.of("/dev/shm/shared");
        try (SharedMemory memory = SharedMemory.create(ublk.kernel(), path, 64 << 10)) {
            ownDoor = folder.resolve("own");
            visitor = () -> {
                MemorySegment piece = memory.allocate(4096).fill((byte) 7);
                ublk.get(ublk.disk(0).write(0, piece));
                assertThat(ublk.get(ublk.disk(0).read(0, 4096))).containsOnly(7);
                signals.ask();
            };
            assertThat(run("add", "ram", "--size=1M", "--share", path.toString(), "--foreground")).as(err.toString()).isZero();
            assertThat(visitor).as("it came").isNull();
        }
        assertThat(refusal(1, "add", "ram", "--size=1M", "--share", "/dev/shm/missing", "--foreground")).contains("ENOENT");
        assertThat(succeed("list")).contains("There is no ublk device");
    }

    @Test
    void whoServesADeviceIsToldItsSize() {
        ownDoor = folder.resolve("own");
        door = ownDoor;
        visitor = () -> {
            resize("2G");
            assertThat(ublk.disk(0).sizeBytes()).isEqualTo(2 * GIB);
            signals.ask();
        };
        assertThat(run("add", "null", "--size=1G", "--foreground")).as(err.toString()).isZero();
        assertThat(visitor).as("it came").isNull();
    }

    @Test
    void aDeviceDoesNotGrowBeyondWhatIsBehindIt() {
        ownDoor = folder.resolve("own");
        door = ownDoor;
        visitor = () -> {
            assertThatThrownBy(() -> resize("2M")).hasStackTraceContaining(
                    "what is behind /dev/ublkb0 has 1M, less than the 2M it shall be; make it larger first");
            resize("512K");
            assertThat(ublk.disk(0).sizeBytes()).isEqualTo(512 << 10);
            signals.ask();
        };
        assertThat(run("add", "ram", "--size=1M", "--foreground")).as(err.toString()).isZero();
        assertThat(visitor).as("it came").isNull();
    }

    /** The command of another process. */
    private void resize(String size) {
        StringWriter said = new StringWriter();
        int status = ReactorUblk.commandLine(machine, new Signals()).setOut(new PrintWriter(said, true)).setErr(new PrintWriter(said, true))
                .execute("resize", "0", size);
        if (status != 0) throw new AssertionError(said.toString());
    }

    @Test
    void anOrdinaryUserServesADeviceOfHisOwn() {
        ublk.withoutPrivileges();
        String[] add = {"add", "ram", "--size=1M", "--depth=8", "--foreground", "--unprivileged"};
        serve(device -> {
            assertThat(status(device).features()).contains(Feature.UNPRIVILEGED_DEV);
            assertThat(succeed("give", "ublkc0")).isEmpty();
            assertThat(succeed("give", "ublkb0-4711")).isEmpty();
            assertThat(given).containsExactly("ublkc0 to 1000 1000", "ublkb0 to 1000 1000");
            assertThat(held).isZero();
            assertThat(succeed("list")).contains("/dev/ublkb0  live   1M");
        }, add);
        assertThat(refusal(1, "add", "ram", "--size=1M", "--foreground")).contains("Creating ublk devices needs root");
        assertThat(refusal(2, "add", "ram", "--size=1M", "--foreground", "--unprivileged", "--data-mode=zero_copy"))
                .contains("an unprivileged device has DataMode.COPY only, not ZERO_COPY");
    }

    @Test
    void whatIsRootsOrGoneIsGivenToNobody() {
        start(server());
        assertThat(succeed("give", "ublkc0")).isEmpty();
        assertThat(succeed("give", "ublkb1")).isEmpty();
        nodesAreThere = false;
        assertThat(succeed("give", "ublkb0")).isEmpty();
        assertThat(given).isEmpty();
        assertThat(held).isZero();
        assertThat(refusal(2, "give", "sda")).contains("sda: ublkcN or ublkbN is a node");
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
        assertThat(refusal(2, "add", "mirror", "a", "b", "--foreground", "--recovery", "hold")).contains("are compared");
        assertThat(refusal(2, "add", "mapped", "a", "b", "--foreground", "--recovery", "hold")).contains("answered and not flushed");
        assertThat(refusal(2, "recover", "0", "ram")).contains("Unmatched argument at index 2: 'ram'");
    }

    @Test
    void whatCannotBeServedIsRefusedWithTheRemedy() {
        assertThat(refusal(2, "add", "ram", "--foreground")).contains("Add --size SIZE");
        assertThat(refusal(2, "add")).contains("A target is missing");
        assertThat(refusal(1, "add", "file", "/nowhere/disk", "--foreground")).contains("/nowhere/disk");
        assertThat(refusal(1, "add", "mirror", "/nowhere/a", "/nowhere/b", "--foreground")).contains("/nowhere/a does not exist; --create");
        assertThat(refusal(1, "add", "mirror", "a", "b", "--foreground", "--create", "--size", "1000")).contains("multiple of its block size, 4096");
        assertThat(refusal(2, "add", "null", "--foreground", "--depth", "1")).contains("from 2 to 4096 is possible");
        assertThat(refusal(2, "add", "null", "--delay", "soon")).contains("\"soon\" is no time; 5ms");
        assertThat(refusal(2, "add", "null", "--fault", "OOPS")).contains("it must begin with an errno");
        assertThat(refusal(2, "add", "null", "--fault", "EIO:write:sometimes=1")).contains("p=, seed=, first= and at=");
        ublk.assertNothingIsLeft();
    }

    @Test
    void aDeviceIsRecoveredAsItWas() {
        start(server().recovery(Recovery.REISSUE));
        ublk.kill();
        whileServed = device -> {
            assertThat(heededBefore).as("a signal waits").isFalse();
            assertThat(ublk.disk(device).sizeBytes()).isEqualTo(GIB);
            assertThat(succeed("list")).contains("/dev/ublkb0  live");
            signals.ask();
        };
        assertThat(run("recover", "0", "null", "--foreground")).as(err.toString()).isZero();
        ublk.assertNothingIsLeft();
    }

    @Test
    void aDeviceIsNotRecoveredWithNothingBehindIt() {
        start(server().recovery(Recovery.REISSUE));
        ublk.kill();
        Path missing = folder.resolve("missing");
        for (String command : List.of("recover", "upgrade")) {
            assertThat(refusal(2, command, "0", "file", missing.toString(), "--create", "--foreground")).contains("--create would make it empty");
            assertThat(missing).doesNotExist();
        }
    }

    /** As a service manager does it, with one command line for the first time and for all others. */
    private static final String[] ADD = {"add", "--id=0", "--or-recover", "null", "--queues=2", "--depth=8", "--max-io=64K",
            "--recovery=reissue", "--foreground"};

    private static String[] add(String... more) {
        return Stream.concat(Stream.of(ADD), Stream.of(more)).toArray(String[]::new);
    }

    @Test
    void whoAddsADeviceAgainAndAgainMakesItOnceAndServesItWhenItWaits() {
        serve(device -> assertThat(status(device).recovery()).isEqualTo(Recovery.REISSUE), ADD);
        assertThat(err.toString()).isEmpty();

        start(server().recovery(Recovery.REISSUE));
        ublk.kill();
        serve(device -> {
            assertThat(heededBefore).as("a signal waits, to remove it").isTrue();
            assertThat(status(device).state()).isEqualTo(DeviceStatus.State.LIVE);
        }, ADD);
        assertThat(err.toString()).isEqualToIgnoringNewLines("reactor-ublk: /dev/ublkb0 has lost its server; serving it again, as it was made");
    }

    @Test
    void ofWhatADeadServerHasLeftADeviceIsMadeAnew() {
        start(server());
        ublk.kill();
        serve(device -> assertThat(status(device).recovery()).isEqualTo(Recovery.REISSUE), ADD);
        assertThat(err.toString()).isEqualToIgnoringNewLines("reactor-ublk: /dev/ublkb0 had died with its server, and is made anew");
    }

    @Test
    void optionsThatADeviceHasDecidedOtherwiseAreNamed() {
        start(server().recovery(Recovery.HOLD));
        ublk.kill();
        serve(device -> {
            assertThat(status(device).recovery()).isEqualTo(Recovery.HOLD);
            assertThat(ublk.disk(device).sizeBytes()).isEqualTo(GIB);
        }, add("--size=2G", "--read-only"));
        assertThat(err.toString()).contains("as it was made: --size is 1G, not 2G, --read-only is false, not true, --recovery is HOLD, not REISSUE;");
    }

    @Test
    void whatSomebodyServesOrWaitsForSomethingElseIsLeftAsItIs() {
        assertThat(refusal(2, "add", "--or-recover", "null", "--foreground")).contains("Add --id N");
        assertThat(refusal(2, "add", "--or-recover", "--id=0", "file", "disk", "--size=1M", "--create", "--foreground"))
                .contains("make it once, and leave it out");
        start(server().recovery(Recovery.REISSUE));
        assertThat(refusal(1, ADD)).contains("/dev/ublkb0 is there, and process " + ProcessHandle.current().pid() + " serves it");
        ublk.kill();
        assertThat(refusal(2, "add", "--or-recover", "--id=0", "ram", "--size=1G", "--foreground"))
                .contains("this cannot have been: what is in this target dies with its server; remove 0 gives it up");
        assertThat(refusal(2, add("--data-mode=zero_copy"))).contains("which does not fit");
        assertThat(succeed("list")).contains("/dev/ublkb0  quiesced");
    }

    // ------------------------------------------------------------------------------------------- upgrading

    @TempDir
    Path folder;

    /** Another process, which serves a device and is asked for it. While it does something the one that asks waits: one thread at a time. */
    private CompletableFuture<?> serveBehindADoor(UblkDevice device, Consumer<Successor> whenHandedOver) throws IOException {
        door = folder.resolve("door");
        Door open = Door.open(door, new Statistics(), true, bytes -> {});
        return CompletableFuture.runAsync(() -> {
            try (open; Successor successor = Objects.requireNonNull(open.successor().block(Duration.ofSeconds(20)))) {
                ublk.get(device.handOver());
                whenHandedOver.accept(successor);
            } catch (IOException e) {
                throw new java.io.UncheckedIOException(e);
            }
        }, task -> Thread.ofPlatform().daemon().start(task));
    }

    @Test
    void aDeviceIsUpgradedWhileItIsServed() throws IOException {
        UblkDevice first = start(server().recovery(Recovery.REISSUE));
        CompletableFuture<?> other = serveBehindADoor(first, successor -> assertThat(successor.takesOver()).isTrue());
        whileServed = device -> {
            assertThat(first.isDisposed()).isTrue();
            assertThat(ublk.disk(device).sizeBytes()).isEqualTo(GIB);
            signals.ask();
        };
        assertThat(run("upgrade", "0", "null", "--foreground")).as(err.toString()).isZero();
        other.join();
        assertThat(out.toString()).containsPattern("/dev/ublkb0, after a pause of \\d+ ms: served; Ctrl-C removes it");
        ublk.assertNothingIsLeft();
    }

    @Test
    void anUpgradedServerTellsItsMetricsWhereTheOneBeforeDid() throws IOException {
        UblkDevice first = start(server().recovery(Recovery.REISSUE));
        CompletableFuture<?> other = serveBehindADoor(first, successor -> assertThat(successor.takesOver()).isTrue());
        try (ServerSocket before = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            whileServed = device -> {
                close(before);
                await().ignoreExceptions().until(() -> get("http://127.0.0.1:" + before.getLocalPort() + "/metrics").contains("ublk_control"));
                signals.ask();
            };
            assertThat(run("upgrade", "0", "null", "--foreground", "--metrics", Integer.toString(before.getLocalPort())))
                    .as(err.toString()).isZero();
        }
        other.join();
    }

    private static void close(ServerSocket socket) {
        try {
            socket.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Test
    void anUpgradeThatFailsGivesTheDeviceBack() throws IOException {
        UblkDevice first = start(server().recovery(Recovery.REISSUE));
        CompletableFuture<UblkDevice> back = new CompletableFuture<>();
        CompletableFuture<?> other = serveBehindADoor(first, successor -> {
            assertThat(successor.takesOver()).isFalse();
            back.complete(ublk.get(server().recover(0)));
            successor.hasFailed();
        });
        String refusal = refusal(1, "upgrade", "0", "file", existing().toString(), "--foreground");
        other.join();
        assertThat(refusal).contains("/dev/ublkb0 is served as before, by process ");
        assertThat(ublk.get(ublk.disk(back.join()).read(0, 512))).hasSize(512);
    }

    /** On the machine that this test runs on, but not on the one in memory, where it cannot be served. */
    private Path existing() throws IOException {
        Path file = folder.resolve("disk");
        try (java.io.RandomAccessFile made = new java.io.RandomAccessFile(file.toFile(), "rw")) {
            made.setLength(GIB);
        }
        return file;
    }

    @Test
    void whatCannotBeUpgradedIsServedAsBefore() throws IOException {
        UblkDevice device = start(server().recovery(Recovery.REISSUE));
        String served = "/dev/ublkb0 is served as before, by process " + ProcessHandle.current().pid();
        assertThat(refusal(1, "upgrade", "0", "null", "--foreground")).contains(served, "cannot be asked for /dev/ublkb0");
        assertThat(refusal(1, "upgrade", "0", "file", "/nowhere/disk", "--foreground")).contains(served, "/nowhere/disk");
        assertThat(refusal(2, "upgrade", "0", "null", "--data-mode", "zero_copy", "--foreground")).contains(served, "does not fit");
        assertThat(refusal(1, "upgrade", "7", "null", "--foreground")).contains("/dev/ublkb7 is not there", "ENODEV");
        assertThat(device.isDisposed()).isFalse();
        assertThat(succeed("list").lines()).hasSize(2);
    }

    @Test
    void aDeviceWithoutServerIsJustRecovered() {
        start(server().recovery(Recovery.REISSUE));
        ublk.kill();
        whileServed = device -> signals.ask();
        assertThat(run("upgrade", "0", "null", "--foreground")).as(err.toString()).isZero();
        assertThat(out.toString()).isEqualToIgnoringNewLines("/dev/ublkb0: served; Ctrl-C removes it");
        ublk.assertNothingIsLeft();
    }
}
