package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.reactorublk.TroubledProcess.Trouble;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.Kernel;
import io.reactorublk.uring.KernelException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A server in trouble: the machine stays usable, nobody waits for ever, and its device can be removed. */
class TroubleVmIT {

    /** More than 30 shows that the driver kills only unprivileged servers for that. */
    private static final int PAUSE_SECONDS = Integer.getInteger("trouble.pause", 40);

    /** Less than the dirty pages of the device. */
    private static final long LEFT_BYTES = TroubledProcess.DEVICE_BYTES / 2;

    private final LinuxDevices linux = new LinuxDevices();
    private final UblkControl control = UblkControl.create(Kernel.linux(), Duration.ofSeconds(2));
    private Process server;
    private Path device;
    private int id;

    @TempDir
    Path directory;

    /** However the test ended: the server dies, and its device can be removed. */
    @AfterEach
    void remove() {
        server.destroyForcibly();
        linux.await(() -> !server.isAlive());
        linux.await(() -> !Files.exists(device));
        try {
            linux.get(UblkControl.create().remove(id));
        } catch (KernelException e) {
            assertThat(e.errno()).as("it had removed itself").isEqualTo(Errno.ENODEV);
        }
        assertThat(Files.exists(Path.of("/dev/ublkc" + id))).isFalse();
        control.close();
    }

    private void serve(String[] before, Object... args) {
        server = ServerProcess.start(TroubledProcess.class, before, args);
        device = ServerProcess.served(server);
        id = Integer.parseInt(device.toString().replaceAll("\\D", ""));
    }

    private void serve(Object... args) {
        serve(new String[0], args);
    }

    private void signal(String name) {
        Shell.succeed("kill", "-" + name, Long.toString(server.pid()));
    }

    private Shell.Result read(int block) {
        return Shell.end(startRead(block));
    }

    private Process startRead(int block) {
        return Shell.start("dd", "if=" + device, "of=/dev/null", "bs=4096", "skip=" + block, "count=1", "iflag=direct");
    }

    private Shell.Result write(int block) {
        return Shell.run("dd", "if=/dev/zero", "of=" + device, "bs=4096", "seek=" + block, "count=1", "oflag=direct");
    }

    private static void assertSucceeds(Shell.Result result) {
        assertThat(result.status()).as(result.output()).isZero();
    }

    private static void assertFails(Shell.Result result, String why) {
        assertThat(result.status()).as(result.output()).isNotZero();
        assertThat(result.output()).contains(why);
    }

    private Process verify() {
        return Shell.start("fio", "--name=verify", "--filename=" + device, "--rw=randwrite", "--bs=4k", "--offset=1m", "--size=4m",
                "--iodepth=8", "--ioengine=libaio", "--direct=1", "--thread", "--verify=crc32c", "--verify_fatal=1", "--do_verify=1",
                "--minimal");
    }

    /** Nothing is lost, nothing fails; meanwhile others are told that it does not answer. */
    @Test
    void aServerThatIsPausedGoesOnAfterwards() throws InterruptedException {
        serve(Trouble.NONE);
        Process fio = verify();
        linux.await(() -> linux.completed(device) > 0);
        signal("STOP");
        Process reader = startRead(0);
        TimeUnit.SECONDS.sleep(PAUSE_SECONDS);
        assertThat(reader.isAlive()).as("applications wait").isTrue();
        assertThat(linux.get(control.inspect(id)).state()).as("others can look").isNotNull();
        signal("CONT");
        assertSucceeds(Shell.end(fio));
        assertSucceeds(Shell.end(reader));
    }

    @Test
    void aServerThatIsPausedCanBeKilledAndItsDeviceRemoved() {
        serve(Trouble.NONE);
        signal("STOP");
        Process reader = startRead(0);
        linux.awaitInFlight(id, 1);
        assertThatThrownBy(() -> linux.get(control.stop(id))).isInstanceOfSatisfying(KernelException.class,
                e -> assertThat(e.errno()).isEqualTo(Errno.ETIMEDOUT));
        signal("KILL");
        assertFails(Shell.end(reader), "dd:");
    }

    @Test
    void aFullHeapInTheTargetCostsOneRequest() {
        serve(Trouble.FULL_HEAP_IN_TARGET);
        assertFails(read(1), "Input/output error");
        assertFails(read(1), "Input/output error");
        assertSucceeds(read(0));
        assertSucceeds(write(1));
    }

    /** It cannot know whom it owes an answer. */
    @Test
    void aFullHeapOnTheLoopEndsTheDevice() {
        serve(Trouble.FULL_HEAP_ON_LOOP);
        assertThat(read(1).status()).as("applications learn of it").isNotZero();
        linux.await(() -> !Files.exists(device));
        assertThat(server.isAlive()).isTrue();
        linux.await(() -> !Files.exists(Path.of("/dev/ublkc" + id)));
    }

    @Test
    void aServerWithoutDescriptorsServesOn() {
        serve(new String[] {"prlimit", "--nofile=256"}, Trouble.NO_DESCRIPTORS);
        assertSucceeds(write(0));                                      // what is used for the first time is read from a file
        assertSucceeds(read(0));
        assertSucceeds(read(1));
        Process fio = verify();
        assertSucceeds(Shell.end(fio));
        linux.get(UblkControl.create().stop(id));
    }

    /** ENOSPC is what an application can do something about: it is told, and nothing else happens. */
    @Test
    void aFullDiskBelowIsToldToTheApplication() throws IOException {
        Path small = Files.createDirectory(directory.resolve("small"));
        Shell.succeed("mount", "-t", "tmpfs", "-o", "size=2m", "none", small.toString());
        try {
            Path file = Files.createFile(small.resolve("disk.img"));
            Shell.succeed("truncate", "--size=" + TroubledProcess.DEVICE_BYTES, file.toString());
            serve(Trouble.NONE, file);
            assertFails(Shell.run("dd", "if=/dev/zero", "of=" + device, "bs=64k", "count=64", "oflag=direct"), "No space left on device");
            assertSucceeds(read(0));
            Shell.succeed("mount", "-o", "remount,size=64m", small.toString());
            assertSucceeds(Shell.run("dd", "if=/dev/zero", "of=" + device, "bs=64k", "count=64", "oflag=direct"));
            linux.get(UblkControl.create().stop(id));
        } finally {
            server.destroyForcibly();
            linux.await(() -> !server.isAlive());
            Shell.run("umount", small.toString());
        }
    }

    /**
     * Server and application share a control group, and what the application writes is more than the memory that is left in it: the
     * kernel must write dirty pages back to this very device to go on. The limit is one that slows down and does not kill: at a hard
     * one the server is killed now and then, as the largest in its group.
     */
    @Test
    void dirtyPagesOfTheDeviceCanBeWrittenBackWhenMemoryIsShort() throws IOException {
        Path groups = Files.createDirectory(directory.resolve("groups"));
        Shell.succeed("mount", "-t", "cgroup2", "none", groups.toString());
        Path group = groups.resolve("reactor-ublk-test");
        try {
            Files.writeString(groups.resolve("cgroup.subtree_control"), "+memory +io");       // io, too, or nobody is slowed down who makes pages dirty
            Files.createDirectory(group);
            // The whole heap at first: what the server took later would be missing from what is left.
            String[] inside = {"sh", "-c", "echo $$ > " + group + "/cgroup.procs; JDK_JAVA_OPTIONS=-XX:+AlwaysPreTouch exec \"$@\"", "sh"};
            Path file = directory.resolve("disk.img");
            Shell.succeed("truncate", "--size=" + TroubledProcess.DEVICE_BYTES, file.toString());
            serve(inside, Trouble.NONE, file);
            for (int round = 0; round < 4; round++) writeAll(group);   // what a JVM takes at first it has then
            long used = Long.parseLong(Files.readString(group.resolve("memory.current")).strip());
            Files.writeString(group.resolve("memory.high"), Long.toString(used + LEFT_BYTES));
            for (int round = 0; round < 6; round++) writeAll(group);
            Map<String, Long> events = events(group);
            assertThat(events.get("high")).as("how often it was at its limit: %s", events).isPositive();
            assertThat(events.get("oom_kill")).as("%s", events).isZero();
            linux.get(UblkControl.create().stop(id));
            server.destroyForcibly();
            linux.await(() -> !server.isAlive());
        } finally {
            server.destroyForcibly();
            linux.await(() -> group.toFile().delete());
            Shell.run("umount", groups.toString());
        }
    }

    private void writeAll(Path group) throws IOException {
        Shell.Result result = Shell.run("sh", "-c",
                "echo $$ > " + group + "/cgroup.procs; dd if=/dev/zero of=" + device + " bs=1M count=32 conv=fsync");
        assertThat(result.status()).as("%s%s, the server lives: %s", result.output(), events(group), server.isAlive()).isZero();
    }

    private static Map<String, Long> events(Path group) throws IOException {
        return Files.readAllLines(group.resolve("memory.events")).stream().map(line -> line.split(" ", 2))
                .collect(Collectors.toMap(event -> event[0], event -> Long.parseLong(event[1])));
    }
}
