package io.reactorublk.samples.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.memory.MemoryUblk;
import io.reactorublk.uring.Kernel;
import java.io.IOException;
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

    @BeforeEach
    void aMachineThatCan() throws IOException {
        write("proc/sys/kernel/osrelease", "7.0.3-amd64\n");
        write("proc/sys/kernel/io_uring_disabled", "0\n");
        write("proc/self/status", "Name:\tjava\nCapEff:\t000001ffffffffff\n");
        write("proc/self/limits", "Max locked memory         8388608              8388608              bytes\n");
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

    private List<String> complaints() {
        return look().stream().filter(finding -> finding.level() != Doctor.Level.OK)
                .map(finding -> finding.level() + " " + finding.what() + ": " + finding.remedy()).toList();
    }

    private List<Doctor.Finding> look() {
        return new Doctor(root, new Machine() {
            @Override
            public Kernel kernel() {
                return ublk.kernel();
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
        assertThat(look()).extracting(Doctor.Finding::what).contains("Linux 7.0.3-amd64", "the driver has BATCH_IO");
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

    @Test
    void ringsThatAreForbidden() throws IOException {
        write("proc/sys/kernel/io_uring_disabled", "2\n");
        assertThat(complaints()).containsExactly("BAD io_uring is disabled: sysctl kernel.io_uring_disabled=0");
    }

    @Test
    void aUserWhoIsNotRoot() throws IOException {
        write("proc/self/status", "CapEff:\t0000000000000000\n");
        assertThat(complaints()).satisfiesExactly(
                admin -> assertThat(admin).startsWith("BAD no CAP_SYS_ADMIN: run as root"),
                resource -> assertThat(resource).startsWith("WARN no CAP_SYS_RESOURCE"),
                memory -> assertThat(memory).startsWith("BAD only 8M of memory can be locked: a queue of the defaults needs 64.5M"));
    }

    @Test
    void swap() throws IOException {
        write("proc/swaps", "Filename\tType\tSize\n/dev/sda2\tpartition\t1\n");
        assertThat(complaints()).singleElement().asString().startsWith("WARN there is swap");
    }
}
