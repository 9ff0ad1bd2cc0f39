package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

/**
 * What a server says that may not do what it needs: which call, which limit, what helps. Each in a process of its own, that
 * also looks around for what it left.
 */
class BadInputVmIT extends LinuxDeviceTest {

    private static final Path IO_URING_DISABLED = Path.of("/proc/sys/kernel/io_uring_disabled");
    private static final String[] AS_IT_IS = {};
    /** May read class path and JDK wherever they are, and no more. */
    private static final String[] NOBODY = {"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
        "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"};
    private static final int DEPTH = 16;

    private static String[] limited(String limit, String... more) {
        String[] command = {"bash", "-c", limit + " && exec \"$@\"", "bash"};
        String[] all = java.util.Arrays.copyOf(command, command.length + more.length);
        System.arraycopy(more, 0, all, command.length, more.length);
        return all;
    }

    /** What the process says; it must have failed, and left nothing. */
    private static String complaint(String[] before, Object... arguments) {
        Shell.Result result = Shell.end(ServerProcess.start(before, arguments));
        assertThat(result.status()).as(result.output()).isEqualTo(1);
        assertThat(result.output()).contains("left: " + ServerProcess.NOTHING);
        return result.output();
    }

    @Test
    void notRoot() {
        assertThat(complaint(NOBODY, "any", DEPTH))
                .contains("open /dev/ublk-control: EACCES (Permission denied). "
                        + "Creating ublk devices needs root (CAP_SYS_ADMIN)");
    }

    @Test
    void rootWithoutItsPowers() {
        assertThat(complaint(new String[] {"setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"}, "any", DEPTH))
                .containsPattern("UBLK_U_CMD_\\w+: E(PERM|ACCES) \\(.*\\). "
                        + "Creating ublk devices needs root \\(CAP_SYS_ADMIN\\)");
    }

    @Test
    void ioUringSwitchedOff() throws IOException {
        String before = Files.readString(IO_URING_DISABLED);
        try {
            Files.writeString(IO_URING_DISABLED, "2");
            assertThat(complaint(AS_IT_IS, "any", DEPTH)).contains("io_uring_setup: EPERM (Operation not permitted). "
                    + "Is kernel.io_uring_disabled set, or a container's seccomp profile in the way?");
        } finally {
            Files.writeString(IO_URING_DISABLED, before);
        }
    }

    /** Root may lock as much as it wants, unless it may not. */
    @Test
    void tooLittleMemoryMayBeLocked() {
        String[] command = limited("ulimit -l 1024", "setpriv", "--bounding-set=-ipc_lock", "--inh-caps=-ipc_lock");
        assertThat(complaint(command, "any", DEPTH))
                .contains("mlock of " + (DEPTH + 1) * (512 << 10) + " bytes: ENOMEM (Cannot allocate memory). "
                + "RLIMIT_MEMLOCK is too low; see `ulimit -l` (KiB), raise it or run with CAP_IPC_LOCK");
    }

    @Test
    void tooFewFilesMayBeOpen() {
        assertThat(complaint(limited("ulimit -n 256"), "any", DEPTH, ServerProcess.USE_UP_DESCRIPTORS))
                .contains("io_uring_setup: EMFILE (Too many open files). "
                        + "This process has too many open files; raise `ulimit -n`");
    }

    @Test
    void aNumberOfAnotherProcessIsInUse() {
        UblkDevice device = start(UblkServer.create().size(1 << 20).queueDepth(2).serve(new RecordingTarget(1 << 20)));
        assertThat(complaint(AS_IT_IS, device.id(), DEPTH))
                .contains("UBLK_U_CMD_ADD_DEV of device " + device.id() + ": EEXIST (File exists). "
                + "Device number " + device.id() + " is in use; choose another, or leave it to the kernel");
    }
}
