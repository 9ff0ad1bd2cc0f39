package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.reactorublk.uring.Errno;
import io.reactorublk.uring.EventLoop;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.RingConfig;
import java.time.Duration;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.util.retry.Retry;

/** Devices can be seen and changed by who does not serve them. */
abstract class ControlContract extends DeviceContract {

    private static final Duration PATIENCE = Duration.ofSeconds(30);
    private static final Duration SHORT = Duration.ofSeconds(3);
    /** Were they in each other's way, this many would be enough: a ring has four workers for each CPU. */
    private static final int MANY = 20;

    private final HeldRequests held = new HeldRequests();
    private UblkControl control;

    @BeforeEach
    void openControl() {
        control = UblkControl.create(fixture.kernel(), PATIENCE);
    }

    @AfterEach
    void closeControl() {
        control.close();
    }

    private UblkServer holding() {
        return server(queue -> queue.answer(held::hold)).queueDepth(8);
    }

    private Errno refusalOf(Mono<?> command) {
        KernelException refusal = catchThrowableOfType(KernelException.class, () -> fixture.get(command));
        assertThat(refusal).as("refusal").isNotNull();
        return refusal.errno();
    }

    private void awaitEnd(UblkDevice device) {
        fixture.get(device.onDispose());
    }

    // ------------------------------------------------------------------------------------------- watched

    @Test
    void everyCommandIsToldWithItsOutcome() {
        List<String> told = new CopyOnWriteArrayList<>();
        ControlListener listener = (command, id, refusal, nanos) -> {
            assertThat(nanos).as(command).isBetween(0L, PATIENCE.toNanos());
            told.add(command + " " + id + " " + (refusal == null ? "ok" : refusal));
        };
        UblkDevice device = start(holding().id(7).withoutAffinity().controlListener(listener));
        try (UblkControl watched = UblkControl.create(fixture.kernel(), PATIENCE, listener)) {
            fixture.get(watched.inspect(7));
            assertThatThrownBy(() -> fixture.get(watched.inspect(8))).isInstanceOf(KernelException.class);
        }
        fixture.get(device.disposeLater());
        assertThat(told).filteredOn(command -> !command.startsWith("GET_DEV_INFO")).containsExactly("GET_FEATURES -1 ok",
                "ADD_DEV 7 ok", "SET_PARAMS 7 ok", "START_DEV 7 ok", "STOP_DEV 7 ok", "DEL_DEV 7 ok");
        assertThat(told).as("whoever made it").containsOnlyOnce("GET_DEV_INFO 8 ENODEV",
                fixture.isPrivileged() ? "GET_DEV_INFO 7 ok" : "GET_DEV_INFO2 7 ok");
    }

    @Test
    void aListenerThatFailsCostsNoCommand() {
        try (UblkControl watched = UblkControl.create(fixture.kernel(), PATIENCE, (command, id, refusal, nanos) -> {
            throw new AssertionError("a test");
        })) {
            assertThat(fixture.get(watched.features())).contains(Feature.BATCH_IO);
        }
        assertThat(log.takeErrors()).singleElement().asString().contains("a test");
    }

    // ------------------------------------------------------------------------------------------- looking

    @Test
    void theDriverTellsWhatItCan() {
        assertThat(fixture.get(control.features()))
                .contains(Feature.BATCH_IO,
                        Feature.UPDATE_SIZE, Feature.SAFE_STOP_DEV);
    }

    @Test
    void withoutDevicesThereIsNothingToList() {
        assertThat(fixture.get(control.list().collectList())).isEmpty();
    }

    @Test
    void allDevicesAreListedByNumber() {
        UblkDevice high = start(holding().id(40));
        UblkDevice low = start(holding().queues(2).id(3));
        assertThat(fixture.get(control.list().map(DeviceStatus::id).collectList())).containsExactly(low.id(), high.id());
    }

    @Test
    void aDeviceTellsWhatItIs() {
        UblkDevice device = start(holding().queues(2));
        DeviceStatus status = fixture.get(control.inspect(device.id()));
        assertThat(status.id()).isEqualTo(device.id());
        assertThat(status.path()).isEqualTo(device.path());
        assertThat(status.state()).isEqualTo(DeviceStatus.State.LIVE);
        assertThat(status.serverPid()).isEqualTo(ProcessHandle.current().pid());
        assertThat(status.queues()).isEqualTo(2);
        assertThat(status.queueDepth()).isEqualTo(8);
        assertThat(status.maxIoBytes()).isEqualTo(MAX_IO);
        assertThat(status.features()).contains(Feature.BATCH_IO).doesNotContain(Feature.USER_RECOVERY);
        assertThat(status.recovery()).isEqualTo(Recovery.NONE);
        assertThat(status.isRecoverable()).isFalse();
        assertThat(status.ownerUid() == 0).as("root's").isEqualTo(fixture.isPrivileged());
        assertThat(status.features().contains(Feature.UNPRIVILEGED_DEV)).isEqualTo(!fixture.isPrivileged());
    }

    @Test
    void aDeviceTellsItsParameters() {
        UblkDevice device = start(holding().blockSize(1024).physicalBlockSize(2048).maxDiscardBytes(1 << 20)
                .discardGranularity(8192).maxWriteZeroesBytes(0).fua().rotational());
        assertThat(fixture.get(control.parameters(device.id()))).isEqualTo(new DeviceParameters(
                DEVICE_BYTES, 1024, 2048, MAX_IO, false, true, true, true, 8192, 1 << 20, 0, 4, 0, 0));
    }

    @Test
    void eachCpuHasItsQueue() {
        UblkDevice device = start(holding().queues(2));
        BitSet first = fixture.get(control.affinity(device.id(), 0));
        BitSet second = fixture.get(control.affinity(device.id(), 1));
        assertThat(first.cardinality()).isPositive();
        assertThat(second.cardinality()).isPositive();
        assertThat(first.intersects(second)).isFalse();
        assertThatThrownBy(() -> fixture.get(control.affinity(device.id(), 2)))
                .hasMessage("UBLK_U_CMD_GET_QUEUE_AFFINITY of device " + device.id()
                        + ": EINVAL (Invalid argument). It has no queue 2");
    }

    @Test
    void ofADeviceThatIsNotThereNothingCanBeHad() {
        assertThatThrownBy(() -> fixture.get(control.inspect(77)))
                .hasMessage("UBLK_U_CMD_GET_DEV_INFO of device 77: ENODEV (No such device). There is no device 77");
        List<Mono<?>> commands = List.of(control.parameters(77), control.affinity(77, 0), control.stop(77),
                control.stopIfUnused(77), control.remove(77), control.resize(77, BLOCK));
        for (Mono<?> command : commands) assertThat(refusalOf(command)).isEqualTo(Errno.ENODEV);
    }

    @Test
    void whoWatchesSeesDevicesComeAndGo() {
        List<List<DeviceStatus>> seen = new CopyOnWriteArrayList<>();
        Disposable watch = control.watch(Duration.ofMillis(5)).subscribe(seen::add);
        fixture.await(() -> seen.size() == 1);
        UblkDevice device = start(holding());
        fixture.await(() -> seen.stream().anyMatch(all -> all.size() == 1 && all.getFirst().state() == DeviceStatus.State.LIVE));
        fixture.get(device.disposeLater());
        fixture.await(() -> seen.getLast().isEmpty());
        watch.dispose();
        assertThat(seen.getFirst()).isEmpty();
    }

    // ------------------------------------------------------------------------------------------- stopping

    @Test
    void aServerLearnsThatItsDeviceWasStopped() {
        UblkDevice device = start(holding());
        fixture.get(control.stop(device.id()));
        awaitEnd(device);
        assertThat(refusalOf(control.inspect(device.id()))).isEqualTo(Errno.ENODEV);
    }

    @Test
    void aServerLearnsThatItsDeviceWasRemoved() {
        UblkDevice device = start(holding().queues(2));
        fixture.get(control.remove(device.id()));
        awaitEnd(device);
    }

    @Test
    void whatIsInUseIsNotStoppedByTheWay() {
        UblkDevice device = start(holding());
        held.open();
        Disk disk = disk(device);
        read(disk, QUIET, BLOCK);
        assertThat(fixture.get(control.stopIfUnused(device.id()))).isFalse();
        read(disk, QUIET, BLOCK);
        disk.close();
        fixture.await(() -> fixture.get(control.stopIfUnused(device.id())));
        awaitEnd(device);
    }

    @Test
    void whatWasNeverStartedIsRemoved() {
        EventLoop loop = EventLoop.start(fixture.kernel(), "another", new RingConfig(8, 16, true));
        ControlDevice device = new ControlDevice(loop, PATIENCE, ControlListener.NONE);
        long flags = Feature.BATCH_IO.flag() | (fixture.isPrivileged() ? 0 : Feature.UNPRIVILEGED_DEV.flag());
        DeviceInfo made = fixture.get(device.add(new DeviceInfo(-1, 1, 8, MAX_IO, flags)));
        device.close();
        fixture.get(loop.disposeGracefully());

        DeviceStatus status = fixture.get(untilPermitted(control.inspect(made.id())));
        assertThat(status.state()).isEqualTo(DeviceStatus.State.DEAD);
        assertThat(status.serverPid()).isEqualTo(-1);
        assertThat(refusalOf(control.stopIfUnused(made.id()))).isEqualTo(Errno.ENODEV);
        assertThat(refusalOf(control.resize(made.id(), BLOCK))).isIn(Errno.ENODEV);
        fixture.get(control.remove(made.id()));
        assertThat(fixture.get(control.list().collectList())).isEmpty();
    }

    /** An ordinary user has to wait until udev has given the device to him. */
    private <T> Mono<T> untilPermitted(Mono<T> command) {
        return command.retryWhen(Retry.fixedDelay(1000, Duration.ofMillis(20)).filter(e -> !fixture.isPrivileged()));
    }

    // ------------------------------------------------------------------------------------------- what hangs

    /** More than a ring has workers by default are stuck, and the next command is answered all the same. */
    @Test
    void aDeviceThatHangsIsInNobodysWay() {
        UblkDevice hanging = start(holding());
        UblkDevice other = start(server(queue -> queue.answer(request -> Mono.just(request.complete()))).queueDepth(8));
        CompletableFuture<byte[]> read = disk(hanging).read(QUIET, BLOCK);
        fixture.await(() -> held.size() == 1);
        List<CompletableFuture<Void>> stops = new ArrayList<>();
        IntStream.range(0, MANY).forEach(i -> stops.add(control.stop(hanging.id()).toFuture()));
        fixture.settle();

        assertThat(fixture.get(control.inspect(hanging.id())).state()).isEqualTo(DeviceStatus.State.LIVE);
        assertThat(fixture.get(control.parameters(other.id())).sizeBytes()).isEqualTo(DEVICE_BYTES);
        fixture.get(control.remove(other.id()));
        assertThat(stops).noneMatch(CompletableFuture::isDone);

        held.open();
        assertThat(fixture.get(read)).hasSize(BLOCK);
        closeDisks();
        for (CompletableFuture<Void> stop : stops) fixture.get(stop.handle((nothing, goneByThen) -> null));
        awaitEnd(hanging);
    }

    @Test
    void whatHangsIsReported() {
        UblkDevice device = start(holding());
        CompletableFuture<byte[]> read = disk(device).read(QUIET, BLOCK);
        fixture.await(() -> held.size() == 1);
        List<String> told = new CopyOnWriteArrayList<>();
        try (UblkControl impatient = UblkControl.create(fixture.kernel(), SHORT,
                (command, id, refusal, nanos) -> told.add(command + " " + refusal))) {
            String because = ": ETIMEDOUT (Connection timed out). Its server does not answer what it has been asked; "
                    + "the end of that process ends the wait";
            assertThatThrownBy(() -> fixture.get(impatient.stop(device.id())))
                    .hasMessage("UBLK_U_CMD_STOP_DEV of device " + device.id() + because);
            assertThatThrownBy(() -> fixture.get(impatient.remove(device.id())))
                    .hasMessage("UBLK_U_CMD_STOP_DEV of device " + device.id() + because);
            assertThat(fixture.get(impatient.inspect(device.id())).state()).isEqualTo(DeviceStatus.State.LIVE);
        }
        assertThat(told).filteredOn("STOP_DEV ETIMEDOUT"::equals).hasSize(2);
        held.open();
        assertThat(fixture.get(read)).hasSize(BLOCK);
        closeDisks();
        awaitEnd(device);
    }

    @Test
    void whatWasCancelledIsInNobodysWay() {
        UblkDevice device = start(holding());
        CompletableFuture<byte[]> read = disk(device).read(QUIET, BLOCK);
        fixture.await(() -> held.size() == 1);
        List<String> told = new CopyOnWriteArrayList<>();
        try (UblkControl watched = UblkControl.create(fixture.kernel(), PATIENCE,
                (command, id, refusal, nanos) -> told.add(command + " " + refusal))) {
            Disposable stop = startStop(watched, told, device);
            stop.dispose();
            assertThat(told).last().asString().endsWith("ECANCELED");
            assertThat(fixture.get(watched.inspect(device.id())).state()).as("asked by the same").isEqualTo(DeviceStatus.State.LIVE);
            Disposable again = startStop(watched, told, device);
            again.dispose();
            assertThat(fixture.get(watched.features())).contains(Feature.BATCH_IO);
        }
        assertThat(told).filteredOn("STOP_DEV ECANCELED"::equals).hasSize(2);
        assertThat(fixture.get(control.inspect(device.id())).state()).as("asked by another").isEqualTo(DeviceStatus.State.LIVE);
        held.open();
        assertThat(fixture.get(read)).hasSize(BLOCK);
        closeDisks();
        fixture.get(control.stop(device.id()).onErrorComplete());         // what was cancelled may not have told its server
        awaitEnd(device);
        assertThat(fixture.get(control.list().collectList())).isEmpty();
    }

    /** When this returns the kernel has it: the device was looked at, and another command has been there and back since. */
    private Disposable startStop(UblkControl watched, List<String> told, UblkDevice device) {
        int before = told.size();
        Disposable stop = watched.stop(device.id()).subscribe();
        fixture.await(() -> told.stream().skip(before).anyMatch(line -> line.endsWith(" null")));
        fixture.get(watched.features());
        return stop;
    }

    @Test
    void whatIsCancelledAfterTheEndIsNoError() {
        UblkDevice device = start(holding());
        CompletableFuture<byte[]> read = disk(device).read(QUIET, BLOCK);
        fixture.await(() -> held.size() == 1);
        UblkControl closed = UblkControl.create(fixture.kernel(), PATIENCE);
        Disposable stop = closed.stop(device.id()).subscribe(nothing -> {}, e -> {});
        fixture.settle();
        closed.close();
        stop.dispose();
        held.open();
        assertThat(fixture.get(read)).hasSize(BLOCK);
        closeDisks();
        fixture.get(control.stop(device.id()).onErrorComplete());         // what was cancelled may not have told its server
        awaitEnd(device);
    }

    // ------------------------------------------------------------------------------------------- resizing

    @Test
    void aDeviceGrowsAndShrinksWhileItIsInUse() {
        RecordingTarget target = new RecordingTarget(2 * DEVICE_BYTES);
        UblkDevice device = start(server(target));
        Disk disk = disk(device);
        write(disk, QUIET, filled(BLOCK, 1));
        fixture.get(control.resize(device.id(), 2 * DEVICE_BYTES));
        assertThat(fixture.get(control.parameters(device.id())).sizeBytes()).isEqualTo(2 * DEVICE_BYTES);
        write(disk, DEVICE_BYTES + QUIET, filled(BLOCK, 2));
        assertThat(read(disk, DEVICE_BYTES + QUIET, BLOCK)).isEqualTo(filled(BLOCK, 2));

        fixture.get(control.resize(device.id(), DEVICE_BYTES));
        assertThat(read(disk, QUIET, BLOCK)).isEqualTo(filled(BLOCK, 1));
        assertThatThrownBy(() -> write(disk, DEVICE_BYTES + QUIET, filled(BLOCK, 3))).isInstanceOf(Disk.Failure.class);
    }

    @Test
    void aSizeIsAWholeNumberOfBlocks() {
        UblkDevice device = start(holding().blockSize(4096));
        for (long size : new long[] {0, -4096, 512}) {
            assertThatThrownBy(() -> fixture.get(control.resize(device.id(), size))).isInstanceOf(IllegalArgumentException.class)
                    .hasMessage("a device of " + size + " bytes: positive multiples of its block size, 4096, are possible");
        }
    }

    // ------------------------------------------------------------------------------------------- serving

    @Test
    void devicesAreServedWithOneControlPlane() {
        RecordingTarget target = new RecordingTarget(DEVICE_BYTES);
        UblkDevice first = start(server(target).control(control));
        UblkDevice second = start(server(target).control(control));
        if (fixture.hasThreads()) assertThat(fixture.footprint()).contains("thread ublk-control=1");
        write(disk(first), QUIET, filled(BLOCK, 1));
        assertThat(read(disk(second), QUIET, BLOCK)).isEqualTo(filled(BLOCK, 1));
        fixture.get(first.resize(DEVICE_BYTES / 2));
        assertThat(fixture.get(control.parameters(first.id())).sizeBytes()).isEqualTo(DEVICE_BYTES / 2);

        closeDisks();
        fixture.get(first.disposeLater());
        assertThatThrownBy(control::close).hasMessage("1 devices are served with this control plane; dispose them first");
        assertThat(read(disk(second), QUIET, BLOCK)).isEqualTo(filled(BLOCK, 1));
        closeDisks();
        fixture.get(second.disposeLater());
        assertThat(fixture.get(control.list().collectList())).isEmpty();
    }

    @Test
    void aDeviceThatCannotStartLeavesItsControlPlane() {
        assertThatThrownBy(() -> start(holding().queues(4096).control(control))).isInstanceOf(IllegalArgumentException.class);
        control.close();
        assertThatThrownBy(() -> start(holding().control(control))).hasMessage("this control plane is closed");
        assertNothingIsLeft();
    }

    // ------------------------------------------------------------------------------------------- life

    @Test
    void itIsUsedByManyAtOnce() {
        UblkDevice device = start(holding());
        List<Long> sizes = fixture.get(Flux.range(0, 200).flatMap(i -> control.parameters(device.id()), 200)
                .map(DeviceParameters::sizeBytes).distinct().collectList());
        assertThat(sizes).containsExactly(DEVICE_BYTES);
    }

    @Test
    void onceClosedItDoesNothing() {
        fixture.get(control.features());
        control.close();
        control.close();
        assertThatThrownBy(() -> fixture.get(control.features())).hasMessage("this control plane is closed");
        assertNothingIsLeft();
    }

    @Test
    void unusedItTakesNothing() {
        assertNothingIsLeft();
    }
}
