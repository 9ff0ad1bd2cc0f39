package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import io.reactorublk.target.NullTarget;
import io.reactorublk.uring.KernelException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

/** What is said where devices cannot be made: on this machine, whatever it has. */
class NoUblkLinuxIT extends LinuxDeviceTest {

    private static final Path CONTROL = Path.of("/dev/ublk-control");

    private final UblkServer server = UblkServer.create().size(1 << 20).queueDepth(2).maxIoBytes(4096)
            .serve(new NullTarget());

    @Test
    void aStartWorksOrSaysWhatIsMissing() {
        Throwable refusal = catchThrowable(() -> start(server));
        if (!Files.exists(CONTROL)) {
            assertThat(refusal).isInstanceOf(KernelException.class)
                    .hasMessage("open /dev/ublk-control: ENOENT (No such file or directory). "
                    + "This kernel has no ublk driver loaded; try `modprobe ublk_drv` (Linux 7.0 or later)");
        } else if (!Files.isWritable(CONTROL)) {
            assertThat(refusal).isInstanceOf(KernelException.class).hasMessageStartingWith("open /dev/ublk-control: E")
                    .hasMessageEndingWith("Creating ublk devices needs root (CAP_SYS_ADMIN)");
        } else if (Integer.parseInt(System.getProperty("os.version").replaceAll("\\..*", "")) < 7) {
            assertThat(refusal).isInstanceOf(KernelException.class)
                    .hasMessage("UBLK_U_CMD_GET_FEATURES: EOPNOTSUPP (Operation not supported). "
                    + "No UBLK_F_BATCH_IO: needs Linux 7.0 or later, this is " + System.getProperty("os.version"));
        } else {
            assertThat(refusal).isNull();
        }
        if (refusal != null) assertNothingIsLeft();
    }
}
