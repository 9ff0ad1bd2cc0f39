package io.reactorublk.samples.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.memory.MemoryUblk;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.Kernel;
import io.reactorublk.uring.KernelException;
import java.io.IOException;
import java.lang.reflect.Proxy;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reactor.core.publisher.Mono;

/** What it makes of a machine whose files are in a folder and whose driver is in memory. */
class DoctorTest {

    @TempDir
    Path root;

    private final MemoryUblk ublk = MemoryUblk.create();
    private Kernel kernel = ublk.kernel();

    @BeforeEach
    void aMachineThatCan() throws IOException {
        write("proc/sys/kernel/osrelease", "7.0.3-amd64\n");
        write("proc/sys/kernel/io_uring_disabled", "0\n");
        write("proc/self/status", "Name:\tjava\nCapEff:\t000001ffffffffff\n");
        write("proc/self/limits", limits(8 << 20, 1 << 20, 1 << 20));
        write("proc/self/cgroup", "0::/user.slice/shell.scope\n");
        write("proc/sys/kernel/threads-max", "100000\n");
        write("proc/sys/vm/max_map_count", "65530\n");
        write("proc/swaps", "Filename\tType\tSize\n");
        write("sys/module/ublk_drv/version", "");
        write("dev/ublk-control", "");
    }

    @AfterEach
    void close() {
        ublk.close();
    }

    private void write(String file, String content) throws IOException {
        Path path = root.resolve(file);
        Files.createDirectories(path.getParent());
        Files.writeString(path, content);
    }

    private static String limits(long lockedBytes, long descriptors, long processes) {
        return """
                Limit                     Soft Limit           Hard Limit           Units
                Max processes             %-20d 999999999            processes
                Max open files            %-20d 999999999            files
                Max locked memory         %-20d 999999999            bytes
                """.formatted(processes, descriptors, lockedBytes);
    }

    private List<String> complaints() {
        return look().stream().filter(finding -> finding.level() != Doctor.Level.OK)
                .map(finding -> finding.level() + " " + finding.what() + ": " + finding.remedy()).toList();
    }

    private List<Doctor.Finding> look() {
        return new Doctor(root, new Machine() {
            @Override
            public Kernel kernel() {
                return kernel;
            }

            @Override
            public <T> @Nullable T await(Mono<T> outcome) {
                return ublk.get(outcome);
            }
        }).look();
    }

    @Test
    void aMachineThatCanServeHasNothingToChange() {
        assertThat(complaints()).isEmpty();
        assertThat(look()).extracting(Doctor.Finding::what).contains("Linux 7.0.3-amd64", "the driver has BATCH_IO", "io_uring works",
                "the driver has SHMEM_ZC, for memory that applications share with a server",
                "1048576 descriptors (RLIMIT_NOFILE), for about 174746 devices in one process",
                "100000 threads (kernel.threads-max), for about 49980 devices in one process",
                "65530 mappings (vm.max_map_count), for about 4033 devices in one process");
    }

    @Test
    void anOldKernel() throws IOException {
        write("proc/sys/kernel/osrelease", "6.18.9\n");
        assertThat(complaints()).containsExactly("BAD Linux 6.18.9: the batch protocol of ublk needs 7.0 or later");
    }

    @Test
    void aDriverThatIsNotLoaded() throws IOException {
        Files.delete(root.resolve("sys/module/ublk_drv/version"));
        Files.delete(root.resolve("sys/module/ublk_drv"));
        Files.delete(root.resolve("dev/ublk-control"));
        assertThat(complaints()).hasSize(2).first().asString().startsWith("BAD this kernel has no driver ublk_drv");
        write("lib/modules/7.0.3-amd64/modules.dep", "kernel/drivers/block/ublk_drv.ko.xz:\n");
        assertThat(complaints()).hasSize(2).first().asString().startsWith("BAD the driver ublk_drv is not loaded: modprobe ublk_drv");
    }

    // ------------------------------------------------------------------------------------------- io_uring

    /** From now on the kernel refuses this call. */
    private void refuse(String method, String call, Errno errno) {
        kernel = (Kernel) Proxy.newProxyInstance(Kernel.class.getClassLoader(), new Class<?>[] {Kernel.class}, (proxy, asked, args) -> {
            if (asked.getName().equals(method)) throw new KernelException(call, errno, "Is there a reason?");
            return asked.invoke(ublk.kernel(), args);
        });
    }

    @Test
    void ringsThatAreForbidden() throws IOException {
        refuse("ioUringSetup", "io_uring_setup", Errno.EPERM);
        write("proc/sys/kernel/io_uring_disabled", "2\n");
        assertThat(complaints()).containsExactly("BAD io_uring is refused, io_uring_setup: EPERM: sysctl kernel.io_uring_disabled=0");
    }

    @Test
    void ringsForAGroupThatThisUserIsNotIn() throws IOException {
        write("proc/sys/kernel/io_uring_disabled", "1\n");
        assertThat(complaints()).as("of one who is").isEmpty();
        assertThat(look()).extracting(Doctor.Finding::what).contains("io_uring works, but not for all: kernel.io_uring_disabled is 1");
        refuse("ioUringSetup", "io_uring_setup", Errno.EPERM);
        assertThat(complaints()).singleElement().asString().endsWith("or be in the group of kernel.io_uring_group, or run as root");
    }

    @Test
    void aSeccompProfile() throws IOException {
        write("proc/self/status", "Seccomp:\t2\nCapEff:\t000001ffffffffff\n");
        refuse("ioUringRegister", "io_uring_register", Errno.EPERM);
        assertThat(complaints()).singleElement().asString()
                .startsWith("BAD io_uring is refused, io_uring_register: EPERM: let the seccomp profile allow io_uring_setup, ");
    }

    /** Or what forbids rings would show only when all else is there. */
    @Test
    void aSeccompProfileWhereThereIsNoDriverEither() throws IOException {
        Files.delete(root.resolve("dev/ublk-control"));
        refuse("ioUringSetup", "io_uring_setup", Errno.ENOSYS);
        assertThat(complaints()).containsExactly("BAD io_uring is refused, io_uring_setup: ENOSYS: a kernel with CONFIG_IO_URING",
                "BAD /dev/ublk-control is not there: load the driver; in a container pass the device in");
    }

    @Test
    void ringsForWhichThereIsNoRoom() {
        refuse("ioUringSetup", "io_uring_setup", Errno.ENOMEM);
        assertThat(complaints()).singleElement().asString().endsWith("io_uring_setup: ENOMEM (Cannot allocate memory). Is there a reason?");
    }

    @Test
    void anotherProcessor() {
        kernel = (Kernel) Proxy.newProxyInstance(Kernel.class.getClassLoader(), new Class<?>[] {Kernel.class}, (proxy, asked, args) -> {
            throw new UnsupportedOperationException("io_uring needs Linux on amd64; this is Linux on riscv64");
        });
        assertThat(complaints()).containsExactly("BAD io_uring cannot be used: io_uring needs Linux on amd64; this is Linux on riscv64");
    }

    // ------------------------------------------------------------------------------------------- who asks

    private void ordinaryUser() throws IOException {
        ublk.withoutPrivileges();
        write("proc/self/status", "CapEff:\t0000000000000000\n");
    }

    /** He can serve, where he has been let in. */
    @Test
    void aUserWhoIsNotRoot() throws IOException {
        ordinaryUser();
        write("sys/module/ublk_drv/parameters/ublks_max", "64\n");
        assertThat(complaints()).satisfiesExactly(
                admin -> assertThat(admin).startsWith("WARN no CAP_SYS_ADMIN, to make devices but those of ordinary users: make them --unprivileged"),
                resource -> assertThat(resource).startsWith("WARN no CAP_SYS_RESOURCE"),
                memory -> assertThat(memory).startsWith("WARN only 8M of memory can be locked: a queue of the defaults needs 64.5M, "
                        + "one with --depth 32 --max-io 128K only 4.1M"));
        assertThat(look()).extracting(Doctor.Finding::what).contains("64 devices of ordinary users may be made, of all users together");
    }

    @Test
    void aUserWhomNobodyHasLetIn() throws IOException {
        ordinaryUser();
        Files.delete(root.resolve("dev/ublk-control"));
        assertThat(complaints()).anySatisfy(admin -> assertThat(admin).startsWith("BAD no CAP_SYS_ADMIN: run as root, in a container with --cap-add SYS_ADMIN; systemd: "));
    }

    @Test
    void tooManyDevicesOfUsers() throws IOException {
        write("sys/module/ublk_drv/parameters/ublks_max", "1\n");
        write("sys/class/ublk-char/ublkc0", "");
        assertThat(complaints()).as("of root").isEmpty();
        ordinaryUser();
        assertThat(complaints()).contains("WARN 1 devices of ordinary users may be made, of all users together, and 1 devices are there: "
                + "remove some if none can be made; or root raises /sys/module/ublk_drv/parameters/ublks_max");
        write("sys/module/ublk_drv/parameters/ublks_max", "0\n");
        assertThat(complaints()).contains("BAD no device of ordinary users may be made: root raises /sys/module/ublk_drv/parameters/ublks_max");
    }

    // ------------------------------------------------------------------------------------------- limits

    @Test
    void lockedMemory() throws IOException {
        write("proc/self/status", "CapEff:\t%016x\n".formatted(-1L & ~(1 << 14)));
        write("proc/self/limits", limits(65536, 1 << 20, 1 << 20));
        assertThat(complaints()).singleElement().asString().startsWith("BAD only 64K of memory can be locked: a queue of the defaults needs 64.5M, "
                + "one with --depth 32 --max-io 128K still 4.1M; ulimit -l unlimited");
        write("proc/self/limits", limits(128 << 20, 1 << 20, 1 << 20));
        assertThat(complaints()).singleElement().asString().startsWith("WARN 128M of memory can be locked");
        write("proc/self/limits", "Max locked memory         unlimited            unlimited            bytes\n");
        assertThat(complaints()).isEmpty();
    }

    @Test
    void descriptors() throws IOException {
        write("proc/self/limits", limits(8 << 20, 256, 1 << 20));
        assertThat(complaints()).containsExactly("WARN 256 descriptors (RLIMIT_NOFILE), for about 26 devices in one process: "
                + "for more: ulimit -n 65536; systemd: LimitNOFILE=65536");
        write("proc/self/limits", limits(8 << 20, 64, 1 << 20));
        assertThat(complaints()).containsExactly("BAD only 64 descriptors (RLIMIT_NOFILE): a server needs about 100, and each device 6: "
                + "ulimit -n 65536; systemd: LimitNOFILE=65536");
    }

    @Test
    void threadsOfAUser() throws IOException {
        write("proc/self/limits", limits(8 << 20, 1 << 20, 100));
        assertThat(complaints()).as("of root").isEmpty();
        ordinaryUser();
        assertThat(complaints()).contains("WARN 100 threads (RLIMIT_NPROC), for about 30 devices in one process: "
                + "for more: ulimit -u 65536; systemd: LimitNPROC=65536");
    }

    @Test
    void threadsOfAGroup() throws IOException {
        write("sys/fs/cgroup/user.slice/shell.scope/pids.max", "max\n");
        write("sys/fs/cgroup/user.slice/pids.max", "120\n");
        write("sys/fs/cgroup/user.slice/pids.current", "100\n");
        String few = "BAD only 20 threads (pids.max of its cgroup): a server needs about 40, and each device 2: systemd: TasksMax=infinity; "
                + "docker, podman: --pids-limit -1";
        assertThat(complaints()).as("of version 2, that of a group above").containsExactly(few);
        write("proc/self/cgroup", "8:pids:/box\n7:memory:/user.slice\n0::/\n");
        assertThat(complaints()).isEmpty();
        write("sys/fs/cgroup/pids/pids.max", "20\n");
        assertThat(complaints()).as("of version 1, where a container has its own as the top").containsExactly(few);
    }

    @Test
    void threadsOfTheMachine() throws IOException {
        write("proc/sys/kernel/threads-max", "50\n");
        assertThat(complaints()).singleElement().asString().startsWith("WARN 50 threads (kernel.threads-max), for about 5 devices");
    }

    @Test
    void mappings() throws IOException {
        write("proc/sys/vm/max_map_count", "2000\n");
        assertThat(complaints()).containsExactly("WARN 2000 mappings (vm.max_map_count), for about 62 devices in one process: "
                + "for more: sysctl vm.max_map_count=262144");
    }

    @Test
    void swap() throws IOException {
        write("proc/swaps", "Filename\tType\tSize\n/dev/sda2\tpartition\t1\n");
        assertThat(complaints()).singleElement().asString().startsWith("WARN there is swap");
    }
}
