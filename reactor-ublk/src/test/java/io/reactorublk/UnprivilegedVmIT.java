package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.reactorublk.target.RamTarget;
import io.reactorublk.uring.Kernel;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;

/** Devices of an ordinary user, who is a process of its own. Root, who is us, plays the part of udev and looks on. */
class UnprivilegedVmIT extends LinuxDeviceTest {

    private static final Path CONTROL = Path.of("/dev/ublk-control");
    private static final long BYTES = 8 << 20;
    private static final int BLOCK = 4096;
    private static final Duration LIMIT = Duration.ofSeconds(60);
    private static final Pattern NODE = Pattern.compile("ublk([bc])(\\d+)");
    private static final int NOBODY = 65534;
    private static final String ANSWER = "answer: ";
    private static final Path SHARED = Path.of("/dev/shm/of-nobody");
    /** May read class path and JDK wherever they are, and no more. */
    private static final String[] AS_NOBODY = {"setpriv", "--reuid=" + NOBODY, "--regid=" + NOBODY, "--clear-groups",
        "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"};

    // ------------------------------------------------------------------------------------------- the ordinary user

    /** Does what it is told, a word a line, and answers with a line. */
    public static void main(String[] args) throws IOException {
        RamTarget ram = new RamTarget(BYTES);
        UblkServer server = UblkServer.create().size(BYTES).queueDepth(8).maxIoBytes(64 << 10).serve(ram);
        AtomicLong inShared = new AtomicLong();
        BufferedReader words = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        @Nullable UblkDevice device = null;
        try (UblkControl control = UblkControl.create()) {
            for (String word = words.readLine(); word != null; word = words.readLine()) {
                try {
                    switch (word) {
                        case "as-root" -> device = announce(server);
                        case "impatient" -> device = announce(server.unprivileged().controlDeadline(Duration.ofSeconds(3)));
                        case "serve" -> device = announce(server.unprivileged());
                        case "hold" -> device = announce(server.unprivileged().serve(queue -> queue.answer(request -> Mono.never())));
                        case "hold-for-2-s" -> {
                            UblkServer holding = server.unprivileged().serve(queue -> queue.answer(request -> Mono.never()));
                            holding.config().patience = Duration.ofSeconds(2);
                            device = announce(holding);
                        }
                        case "share" -> {
                            device = Objects.requireNonNull(server.unprivileged().sharedMemory().serve(queue -> ram.serve(queue.via(requests ->
                                    requests.doOnNext(request -> inShared.addAndGet(request.isShared() ? 1 : 0))))).start().block(LIMIT));
                            device.share(SharedMemory.create(SHARED, 1 << 20)).block(LIMIT);
                            answer(device.path());
                        }
                        case "count" -> answer(inShared);
                        case "list" -> answer(control.list().map(seen -> seen.id() + " of " + seen.ownerUid())
                                .collectList().block(LIMIT));
                        case "grow" -> {
                            Objects.requireNonNull(device).resize(2 * BYTES).block(LIMIT);
                            answer(Objects.requireNonNull(control.parameters(device.id()).block(LIMIT)).sizeBytes());
                        }
                        case "remove" -> {
                            Objects.requireNonNull(device).disposeLater().block(LIMIT);
                            answer("removed");
                        }
                        default -> throw new IllegalArgumentException(word);
                    }
                } catch (RuntimeException e) {
                    answer(e.getMessage());
                }
            }
        }
        System.exit(0);
    }

    /** Among what is logged. */
    private static void answer(Object line) {
        System.out.println(ANSWER + line);
    }

    private static UblkDevice announce(UblkServer server) {
        UblkDevice device = Objects.requireNonNull(server.start().block(LIMIT));
        answer(device.path());
        return device;
    }

    /** One for most tests: a JVM takes long to start in an emulated machine. */
    private static final class User implements AutoCloseable {

        private final Process process = ServerProcess.start(UnprivilegedVmIT.class, AS_NOBODY);
        private final BufferedReader answers = process.inputReader();
        private final BufferedWriter words = process.outputWriter();

        String tell(String word) {
            try {
                words.write(word + "\n");
                words.flush();
                String line = answers.readLine();
                while (line != null && !line.startsWith(ANSWER)) line = answers.readLine();
                return Objects.requireNonNull(line, "it has ended").substring(ANSWER.length());
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }

        Path serve(String word) {
            String answer = tell(word);
            assertThat(answer).startsWith("/dev/ublkb");
            return Path.of(answer);
        }

        @Override
        public void close() {
            process.destroyForcibly();
        }
    }

    private static User user;

    @BeforeAll
    static void startUser() {
        user = new User();
    }

    @AfterAll
    static void endUser() {
        user.close();
    }

    // ------------------------------------------------------------------------------------------- udev

    private final UblkControl control = UblkControl.create(Kernel.linux(), LIMIT);
    private Set<PosixFilePermission> permissions;
    private volatile boolean udevIsThere = true;
    private Thread udev;

    @BeforeEach
    void letUsersIn() throws IOException {
        permissions = Files.getPosixFilePermissions(CONTROL);
        Files.setPosixFilePermissions(CONTROL, PosixFilePermissions.fromString("rw-rw-rw-"));
        udev = Thread.ofPlatform().daemon().name("udev").start(() -> {
            while (udevIsThere) {
                giveToOwners();
                linux.elapse(Duration.ofMillis(20));
            }
        });
    }

    @AfterEach
    void letNobodyIn() throws IOException, InterruptedException {
        stopUdev();
        control.close();
        Files.setPosixFilePermissions(CONTROL, permissions);
    }

    private void stopUdev() throws InterruptedException {
        udevIsThere = false;
        udev.join();
    }

    /** What the rule of {@code samples/src/main/udev} does. */
    private void giveToOwners() {
        for (String name : Kernel.linux().list("/dev")) {
            Matcher node = NODE.matcher(name);
            if (!node.matches()) continue;
            control.inspect(Integer.parseInt(node.group(2)))
                    .filter(device -> device.features().contains(Feature.UNPRIVILEGED_DEV))
                    .onErrorComplete()
                    .blockOptional(LIMIT)
                    .ifPresent(device -> giveTo(device.ownerUid(), device.ownerGid(), Path.of("/dev", name)));
        }
    }

    private static void giveTo(int uid, int gid, Path node) {
        try {
            Files.setAttribute(node, "unix:uid", uid);
            Files.setAttribute(node, "unix:gid", gid);
        } catch (IOException goneMeanwhile) {
            if (Files.exists(node)) throw new UncheckedIOException(goneMeanwhile);
        }
    }

    private static int idOf(Path device) {
        return Integer.parseInt(device.toString().replaceAll("\\D", ""));
    }

    // ------------------------------------------------------------------------------------------- the tests

    @Test
    void anOrdinaryUserMakesUsesAndRemovesADevice() throws IOException {
        Path device = user.serve("serve");
        assertThat(user.tell("list")).isEqualTo("[" + idOf(device) + " of " + NOBODY + "]");
        assertThat(user.tell("grow")).isEqualTo("" + 2 * BYTES);

        DeviceStatus status = Objects.requireNonNull(linux.get(control.inspect(idOf(device))));
        assertThat(status.state()).isEqualTo(DeviceStatus.State.LIVE);
        assertThat(status.serverPid()).isEqualTo(user.process.pid());
        assertThat(status.ownerUid()).isEqualTo(NOBODY);
        assertThat(status.ownerGid()).isEqualTo(NOBODY);
        assertThat(status.features()).contains(Feature.UNPRIVILEGED_DEV, Feature.BATCH_IO);
        assertThat(linux.get(control.list().map(DeviceStatus::id).collectList())).contains(idOf(device));
        assertThat(linux.get(control.affinity(idOf(device), 0)).cardinality()).isPositive();

        linux.await(() -> ownerOf(device) == NOBODY);
        byte[] written = DeviceContract.pattern(BLOCK, 1);
        Process copy = new ProcessBuilder("setpriv", "--reuid=" + NOBODY, "--regid=" + NOBODY, "--clear-groups", "dd", "of=" + device,
                "bs=4096", "seek=5", "oflag=direct", "status=none").redirectInput(linux.file(written).toFile()).redirectErrorStream(true).start();
        Shell.Result copied = Shell.end(copy);
        assertThat(copied.status()).as(copied.output()).isZero();
        Disk disk = new LinuxDisk(device);
        assertThat(linux.get(disk.read(5 * BLOCK, BLOCK))).isEqualTo(written);
        disk.close();

        assertThat(user.tell("remove")).isEqualTo("removed");
        assertThat(user.tell("list")).isEqualTo("[]");
    }

    private static int ownerOf(Path node) {
        try {
            return (int) Files.getAttribute(node, "unix:uid");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Test
    void whereNobodyGivesDevicesToTheirOwnersThatIsSaid() throws InterruptedException {
        stopUdev();
        Matcher message = Pattern.compile("open /dev/ublkc(\\d+): EACCES \\(Permission denied\\). No udev rule gives ublk devices to "
                + "their owners; root removes this one: reactor-ublk remove (\\d+)").matcher(user.tell("impatient"));
        assertThat(message.matches()).as("%s", message).isTrue();
        linux.get(control.remove(Integer.parseInt(message.group(1))));
    }

    @Test
    void withoutTheOptionAnOrdinaryUserIsRefused() {
        assertThat(user.tell("as-root")).isEqualTo("UBLK_U_CMD_ADD_DEV: EPERM (Operation not permitted). "
                + "Creating ublk devices needs root (CAP_SYS_ADMIN); others make unprivileged ones");
    }

    @Test
    void rootMakesNoUnprivilegedDevice() {
        assertThatThrownBy(() -> start(UblkServer.create().size(BYTES).serve(new RamTarget(BYTES)).unprivileged()))
                .hasMessageStartingWith("with CAP_SYS_ADMIN no unprivileged device can be made");
    }

    @Test
    void anOrdinaryUserSharesMemory() throws IOException {
        try {
            Path device = user.serve("share");
            Shell.succeed("fio", "--name=verify", "--filename=" + device, "--rw=randwrite", "--bs=4k", "--size=256k", "--iodepth=8",
                    "--ioengine=libaio", "--direct=1", "--thread", "--mem=mmapshared:" + SHARED, "--verify=crc32c", "--verify_fatal=1",
                    "--do_verify=1", "--minimal");
            assertThat(Long.parseLong(user.tell("count"))).as("requests in shared memory, some of them merged").isGreaterThan(32);
            assertThat(user.tell("remove")).isEqualTo("removed");
        } finally {
            Files.deleteIfExists(SHARED);
        }
    }

    /** What the guard of a queue is there for; root makes 2 of the 30 s, and removes what is left. */
    @Test
    void theKernelKillsForARequestThatIsKeptTooLong() throws IOException, InterruptedException {
        try (User victim = new User()) {
            Path device = victim.serve("hold");
            Files.writeString(Path.of("/sys/block", device.getFileName().toString(), "queue/io_timeout"), "2000");
            Disk disk = new LinuxDisk(device);
            assertThatThrownBy(() -> linux.get(disk.read(0, BLOCK))).isInstanceOf(Disk.Failure.class);
            disk.close();
            assertThat(victim.process.waitFor(LIMIT.toSeconds(), TimeUnit.SECONDS)).isTrue();
            assertThat(victim.process.exitValue()).as("128 + SIGKILL").isEqualTo(137);
            linux.await(() -> linux.get(control.inspect(idOf(device))).state() == DeviceStatus.State.DEAD);
            linux.get(control.remove(idOf(device)));
        }
    }

    /** Here the queue has 2 s, and root makes 10 of the kernel's 30. */
    @Test
    void aRequestThatIsKeptTooLongDoesNotCostAGuardedProcessItsLife() throws IOException {
        Path device = user.serve("hold-for-2-s");
        Files.writeString(Path.of("/sys/block", device.getFileName().toString(), "queue/io_timeout"), "10000");
        Disk disk = new LinuxDisk(device);
        assertThatThrownBy(() -> linux.get(disk.read(0, BLOCK))).isInstanceOf(Disk.Failure.class);
        disk.close();
        linux.elapse(Duration.ofSeconds(10));
        assertThat(user.process.isAlive()).isTrue();
        assertThat(user.tell("remove")).isEqualTo("removed");
    }
}
