package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.reactorublk.MemoryDevices.Chance;
import io.reactorublk.memory.MemoryUblk;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.KernelException;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.MethodSource;
import reactor.core.publisher.Mono;

/** Devices of an ordinary user: as those of root where they may be, and else refused; on a kernel in memory. */
class UnprivilegedTest {

    @Nested
    @ParameterizedClass
    @MethodSource("io.reactorublk.MemoryDevices$Chance#some")
    class Operations extends OperationContract {

        @Parameter
        Chance chance;

        @Override
        DeviceFixture newFixture() {
            return chance.unprivilegedDevices();
        }
    }

    @Nested
    @ParameterizedClass
    @MethodSource("io.reactorublk.MemoryDevices$Chance#some")
    class Starting extends StartContract {

        @Parameter
        Chance chance;

        @Override
        DeviceFixture newFixture() {
            return chance.unprivilegedDevices();
        }
    }

    @Nested
    @ParameterizedClass
    @MethodSource("io.reactorublk.MemoryDevices$Chance#some")
    class Control extends ControlContract {

        @Parameter
        Chance chance;

        @Override
        DeviceFixture newFixture() {
            return chance.unprivilegedDevices();
        }
    }

    @Nested
    @ParameterizedClass
    @MethodSource("io.reactorublk.MemoryDevices$Chance#some")
    class Refusals extends DeviceContract {

        @Parameter
        Chance chance;

        private final HeldRequests held = new HeldRequests();

        @Override
        DeviceFixture newFixture() {
            return chance.unprivilegedDevices();
        }

        private UblkServer privileged() {
            return UblkServer.create().kernel(fixture.kernel()).size(DEVICE_BYTES).maxIoBytes(MAX_IO).serve(new RecordingTarget(DEVICE_BYTES));
        }

        @Test
        void anOrdinaryUserMakesNoDeviceOfRoots() {
            assertThatThrownBy(() -> start(privileged())).hasMessage("UBLK_U_CMD_ADD_DEV: EPERM (Operation not permitted). "
                    + "Creating ublk devices needs root (CAP_SYS_ADMIN); others make unprivileged ones");
            assertNothingIsLeft();
        }

        @Test
        void thereAreOnlySoMany() {
            UblkServer small = server(new RecordingTarget(DEVICE_BYTES)).queueDepth(2).maxIoBytes(BLOCK);
            for (int i = 0; i < 64; i++) start(small);
            assertThatThrownBy(() -> start(small)).hasMessage("UBLK_U_CMD_ADD_DEV: EACCES (Permission denied). "
                    + "There are as many devices of ordinary users as may be; root raises /sys/module/ublk_drv/parameters/ublks_max");
        }

        /** As when no rule of udev gives it to its owner, and so nobody but root can remove it. */
        @Test
        void aDeviceThatNobodyGivesToItsOwnerIsReported() {
            MemoryUblk ublk = MemoryUblk.create().withoutPrivileges();
            UblkServer server = server(new RecordingTarget(DEVICE_BYTES))
                    .kernel(FaultyKernel.refusing(ublk.kernel(), "open", "/dev/ublkc0", Errno.EACCES)).controlDeadline(Duration.ofSeconds(3));
            KernelException refusal = catchThrowableOfType(KernelException.class, () -> ublk.get(server.start()));
            assertThat(refusal).hasMessage("open /dev/ublkc0: EACCES (Permission denied). "
                    + "No udev rule gives ublk devices to their owners; root removes this one: reactor-ublk remove 0");
            ublk.close();
        }

        // --------------------------------------------------------------------------------------- the kill

        @Test
        void aTargetThatKeepsARequestTooLongCostsItsQueueAndNotTheProcess() {
            UblkDevice device = start(server(queue -> queue.answer(held::hold)));
            CompletableFuture<byte[]> early = disk(device).read(QUIET, BLOCK);
            fixture.elapse(Duration.ofSeconds(20));
            CompletableFuture<byte[]> late = disk(device).read(place(1), BLOCK);
            assertThat(early).isNotDone();
            fixture.elapse(Duration.ofSeconds(7));
            assertThat(failureOf(early)).isEqualTo(Errno.EIO);
            assertThat(failureOf(late)).isEqualTo(Errno.EIO);
            assertThat(log.warnings()).singleElement().asString().endsWith("answers EIO from now on: "
                    + "a request has waited for 25 s, and at 30 s the kernel would kill this process");
            fixture.elapse(Duration.ofSeconds(60));
        }

        @Test
        void aTargetThatAsksForNothingCostsItsQueueAndNotTheProcess() {
            UblkDevice device = start(server(new ManualTarget()));
            CompletableFuture<byte[]> read = disk(device).read(QUIET, BLOCK);
            fixture.elapse(Duration.ofSeconds(24));
            assertThat(read).isNotDone();
            fixture.elapse(Duration.ofSeconds(3));
            assertThat(failureOf(read)).isEqualTo(Errno.EIO);
            fixture.elapse(Duration.ofSeconds(60));
        }

        @Test
        void aTargetThatIsSlowButNotThatSlowIsLeftAlone() {
            UblkDevice device = start(server(queue -> queue.answer(request ->
                    Mono.just(request.complete()).delayElement(Duration.ofSeconds(20), queue.loop()))));
            for (int i = 0; i < 3; i++) assertThat(fixture.get(disk(device).read(place(i), BLOCK))).hasSize(BLOCK);
            assertThat(log.warnings()).isEmpty();
        }
    }

    /** What a user of the kernel in memory learns of a target that would be killed. */
    @Test
    void theKernelInMemoryKillsAsLinuxDoes() {
        try (MemoryUblk ublk = MemoryUblk.create().withoutPrivileges()) {
            BlockTarget slow = queue -> queue.answer(1, request -> Mono.just(request.complete()).delayElement(Duration.ofSeconds(16), queue.loop()));
            UblkDevice device = ublk.get(UblkServer.create().kernel(ublk.kernel()).size(1 << 20).unprivileged().serve(slow).start());
            for (int i = 0; i < 3; i++) ublk.disk(device).read(i * 4096L, 4096).subscribe(bytes -> {}, e -> {});
            assertThatThrownBy(() -> ublk.advanceTime(Duration.ofSeconds(31))).isInstanceOf(AssertionError.class)
                    .hasMessageContaining("was not answered within 30 s: the kernel kills the server");
        }
    }

    @Test
    void rootMakesNoUnprivilegedDevice() {
        try (MemoryUblk ublk = MemoryUblk.create()) {
            assertThatThrownBy(() -> ublk.get(UblkServer.create().kernel(ublk.kernel()).size(1 << 20).unprivileged()
                    .serve(new RecordingTarget(1 << 20)).start())).isInstanceOf(IllegalArgumentException.class)
                    .hasMessage("with CAP_SYS_ADMIN no unprivileged device can be made; leave unprivileged() out, or start as another user");
            ublk.assertNothingIsLeft();
        }
    }
}
