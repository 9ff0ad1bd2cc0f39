package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.reactorublk.DeviceFixture.Victim;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.KernelException;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.EnumSource.Mode;
import reactor.core.Disposable;
import reactor.core.publisher.Mono;

/** What applications see when a server dies, by policy and {@link DataMode}, and how the next one goes on. */
abstract class RecoveryContract extends DeviceContract {

    private static final Duration PATIENCE = Duration.ofSeconds(30);
    private static final Duration SHORT = Duration.ofSeconds(3);

    private UblkControl control;

    /** Not before a process has died: in memory this would be of that process. */
    private UblkControl control() {
        if (control == null) control = UblkControl.create(fixture.kernel(), PATIENCE);
        return control;
    }

    @AfterEach
    void closeControl() {
        if (control != null) control.close();
    }

    private Victim victim(Recovery recovery, DataMode mode) {
        return fixture.startVictim(server(new NoTarget()).recovery(recovery).queueDepth(8).dataMode(mode));
    }

    /** What a victim is told by its own process. */
    private record NoTarget() implements BlockTarget {
        @Override
        public org.reactivestreams.Publisher<Completion> serve(BlockQueue queue) {
            return Mono.error(new AssertionError("nobody serves this"));
        }
    }

    private void awaitState(int id, DeviceStatus.State state) {
        fixture.await(() -> fixture.get(control().inspect(id)).state() == state);
    }

    private UblkDevice recover(Victim victim, DataMode mode) {
        return recover(server(new KeptDisk(victim.content())).dataMode(mode), victim.id());
    }

    private Disk open(Victim victim) {
        return track(fixture.open(victim.id()));
    }

    private KernelException refusalOf(Mono<?> command) {
        KernelException refusal = catchThrowableOfType(KernelException.class, () -> fixture.get(command));
        assertThat(refusal).as("refusal").isNotNull();
        return refusal;
    }

    // ------------------------------------------------------------------------------------------- the policies

    @ParameterizedTest
    @EnumSource
    void withoutRecoveryADeviceGoesWithItsServer(DataMode mode) {
        Victim victim = victim(Recovery.NONE, mode);
        Disk disk = open(victim);
        CompletableFuture<Void> inFlight = disk.write(KeptDisk.HELD, filled(BLOCK, 1));
        victim.awaitHeld();
        victim.kill();

        assertFails(inFlight);
        awaitState(victim.id(), DeviceStatus.State.DEAD);
        assertFails(disk.read(QUIET, BLOCK));
        assertThat(refusalOf(server(new KeptDisk(victim.content())).dataMode(mode).recover(victim.id())))
                .hasMessage("UBLK_U_CMD_START_USER_RECOVERY of device " + victim.id()
                        + ": EINVAL (Invalid argument). It was made without recovery");
        closeDisks();
        fixture.get(control().remove(victim.id()));
    }

    @ParameterizedTest
    @EnumSource
    void aHeldDeviceFailsWhatWasInFlightAndLetsTheRestWait(DataMode mode) {
        Victim victim = victim(Recovery.HOLD, mode);
        Disk disk = open(victim);
        write(disk, QUIET, filled(BLOCK, 7));
        CompletableFuture<Void> inFlight = disk.write(KeptDisk.HELD, filled(BLOCK, 1));
        victim.awaitHeld();
        victim.kill();

        assertThat(failureOf(inFlight)).isEqualTo(Errno.EIO);
        awaitState(victim.id(), DeviceStatus.State.QUIESCED);
        CompletableFuture<byte[]> later = disk.read(QUIET, BLOCK);
        fixture.settle();
        assertThat(later).isNotDone();

        recover(victim, mode);
        assertThat(fixture.get(later)).isEqualTo(filled(BLOCK, 7));
        assertThat(read(disk, KeptDisk.HELD, BLOCK)).as("what failed was not done").isEqualTo(filled(BLOCK, 0));
    }

    @ParameterizedTest
    @EnumSource
    void aReissuedDeviceLetsEverythingWait(DataMode mode) {
        Victim victim = victim(Recovery.REISSUE, mode);
        Disk disk = open(victim);
        write(disk, QUIET, filled(BLOCK, 7));
        CompletableFuture<Void> inFlight = disk.write(KeptDisk.HELD, filled(BLOCK, 1));
        victim.awaitHeld();
        victim.kill();

        awaitState(victim.id(), DeviceStatus.State.QUIESCED);
        CompletableFuture<byte[]> later = disk.read(QUIET, BLOCK);
        fixture.settle();
        assertThat(inFlight).isNotDone();
        assertThat(later).isNotDone();

        recover(victim, mode);
        fixture.get(inFlight);
        assertThat(fixture.get(later)).isEqualTo(filled(BLOCK, 7));
        assertThat(read(disk, KeptDisk.HELD, BLOCK)).isEqualTo(filled(BLOCK, 1));
    }

    @ParameterizedTest
    @EnumSource
    void aDeviceThatFailsFastIsAsIfUnplugged(DataMode mode) {
        Victim victim = victim(Recovery.FAIL_FAST, mode);
        Disk disk = open(victim);
        write(disk, QUIET, filled(BLOCK, 7));
        CompletableFuture<Void> inFlight = disk.write(KeptDisk.HELD, filled(BLOCK, 1));
        victim.awaitHeld();
        victim.kill();

        assertThat(failureOf(inFlight)).isEqualTo(Errno.EIO);
        awaitState(victim.id(), DeviceStatus.State.FAIL_IO);
        assertThat(failureOf(disk.read(QUIET, BLOCK))).isEqualTo(Errno.EREMOTEIO);

        recover(victim, mode);
        assertThat(read(disk, QUIET, BLOCK)).isEqualTo(filled(BLOCK, 7));
    }

    // ------------------------------------------------------------------------------------------- the next server

    @ParameterizedTest
    @EnumSource(value = Recovery.class, mode = Mode.EXCLUDE, names = "NONE")
    void whatWasAnsweredIsThere(Recovery recovery) {
        UblkDevice device = start(server(new RecordingTarget(DEVICE_BYTES)).recovery(recovery));
        assertThat(fixture.get(control().inspect(device.id())).recovery()).isEqualTo(recovery);
        assertThat(fixture.get(control().inspect(device.id())).isRecoverable()).isFalse();
    }

    @Test
    void aRecoveredDeviceIsWhatItWas() {
        Victim victim = fixture.startVictim(server(new NoTarget()).recovery(Recovery.REISSUE).queueDepth(5).queues(2));
        victim.kill();
        awaitState(victim.id(), DeviceStatus.State.QUIESCED);
        UblkDevice device = recover(server(new KeptDisk(victim.content())).size(4096).queueDepth(64).maxIoBytes(1 << 20)
                .readOnly(), victim.id());
        assertThat(device.id()).isEqualTo(victim.id());
        assertThat(device.queues()).isEqualTo(2);
        assertThat(device.queueDepth()).isEqualTo(5);
        Disk disk = disk(device);
        write(disk, QUIET, pattern(4 * MAX_IO, 3));
        assertThat(read(disk, QUIET, 4 * MAX_IO)).isEqualTo(pattern(4 * MAX_IO, 3));
        assertThat(fixture.get(control().inspect(device.id())).state()).isEqualTo(DeviceStatus.State.LIVE);
    }

    @Test
    void aDeviceWhoseServerLivesIsNotTaken() {
        RecordingTarget target = new RecordingTarget(DEVICE_BYTES);
        UblkDevice device = start(server(target).recovery(Recovery.REISSUE));
        assertThat(refusalOf(server(target).controlDeadline(SHORT).recover(device.id())))
                .hasMessage("UBLK_U_CMD_START_USER_RECOVERY of device " + device.id() + ": ETIMEDOUT (Connection timed out). "
                        + "Its server still lives, or a child of it that has inherited a descriptor");
        assertThat(read(disk(device), QUIET, BLOCK)).hasSize(BLOCK);
    }

    @Test
    void whatIsNotThereIsNotRecovered() {
        assertThat(refusalOf(server(new RecordingTarget(DEVICE_BYTES)).recover(55)).errno()).isEqualTo(Errno.ENODEV);
        assertNothingIsLeft();
    }

    /** As of one whose server died before it was there. */
    @Test
    void whatWasStoppedIsNotRecovered() {
        int id = orphan();
        fixture.get(control().stop(id));
        assertThat(refusalOf(server(new RecordingTarget(DEVICE_BYTES)).recover(id)))
                .hasMessage("recovery of device " + id + ": ENODEV (No such device). "
                        + "It was stopped, or its server died before it was there; remove it, and start it anew");
        fixture.get(control().remove(id));
        start(server(new RecordingTarget(DEVICE_BYTES)).id(id));
    }

    // ------------------------------------------------------------------------------------------- recoveries that fail

    private int orphan() {
        UblkDevice device = start(server(new RecordingTarget(DEVICE_BYTES)).recovery(Recovery.REISSUE).queueDepth(2).maxIoBytes(BLOCK));
        fixture.get(device.handOver());
        return device.id();
    }

    @Test
    void aTargetThatFailsLeavesTheDeviceToTheNext() {
        int id = orphan();
        CompletableFuture<byte[]> waits = track(fixture.open(id)).read(QUIET, BLOCK);
        assertThatThrownBy(() -> recover(server(queue -> Mono.error(new IllegalStateException("no disk"))), id))
                .hasMessage("no disk");
        log.takeErrors();
        awaitState(id, DeviceStatus.State.QUIESCED);
        assertThat(waits).isNotDone();
        recover(server(new RecordingTarget(DEVICE_BYTES)), id);
        assertThat(fixture.get(waits)).hasSize(BLOCK);
    }

    @Test
    void theRefusalOfAnyCallLeavesTheDeviceToTheNext() {
        int id = orphan();
        CompletableFuture<byte[]> waits = track(fixture.open(id)).read(QUIET, BLOCK);
        boolean refused = true;
        int call = 0;
        while (refused) {
            FaultyKernel faulty = new FaultyKernel(fixture.kernel(), ++call);
            UblkServer server = server(new RecordingTarget(DEVICE_BYTES)).kernel(faulty.kernel());
            try {
                recover(server, id);
            } catch (KernelException expected) {
                assertThat(expected.errno()).isEqualTo(Errno.ENOMEM);
                assertThat(fixture.get(control().inspect(id)).state()).as("after the refusal of call " + call)
                        .isEqualTo(DeviceStatus.State.QUIESCED);
                assertThat(waits).isNotDone();
            }
            refused = faulty.hasRefused();
        }
        assertThat(call).as("calls").isGreaterThan(10);
        assertThat(fixture.get(waits)).hasSize(BLOCK);
    }

    @ParameterizedTest
    @org.junit.jupiter.params.provider.ValueSource(ints = {0, 1, 5, 20, 50, 100, 200})
    void aRecoveryThatIsCancelledLeavesTheDeviceToTheNext(int millis) {
        int id = orphan();
        AtomicReference<UblkDevice> recovered = new AtomicReference<>();
        Disposable recovery = server(new RecordingTarget(DEVICE_BYTES)).recover(id).subscribe(recovered::set);
        fixture.elapse(Duration.ofMillis(millis));
        recovery.dispose();
        fixture.await(() -> recovered.get() != null
                || fixture.get(control().inspect(id)).state() == DeviceStatus.State.QUIESCED);
        if (recovered.get() != null) {                                 // it was too late to cancel
            fixture.get(recovered.get().disposeLater());
        } else {
            recover(server(new RecordingTarget(DEVICE_BYTES)), id);
        }
    }

    // ------------------------------------------------------------------------------------------- nobody comes

    @Test
    void anOrphanIsRemovedAndWhoWaitsForItFreed() {
        Victim victim = victim(Recovery.REISSUE, DataMode.COPY);
        Disk disk = open(victim);
        CompletableFuture<Void> inFlight = disk.write(KeptDisk.HELD, filled(BLOCK, 1));
        victim.awaitHeld();
        victim.kill();
        awaitState(victim.id(), DeviceStatus.State.QUIESCED);
        CompletableFuture<byte[]> later = disk.read(QUIET, BLOCK);
        fixture.settle();
        fixture.get(control().stop(victim.id()));
        assertThat(failureOf(inFlight)).isEqualTo(Errno.EIO);
        assertFails(later);
        closeDisks();
        fixture.get(control().remove(victim.id()));
        assertThat(fixture.get(control().list().collectList())).isEmpty();
    }
}
