package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.reactorublk.uring.EventLoop;
import io.reactorublk.uring.KernelException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** A device goes from one server to the next while it is in use, without an error and with nothing done twice. */
abstract class HandOverContract extends DeviceContract {

    private static final Duration SHORT = Duration.ofSeconds(1);
    private static final int READS = 6;

    private final HeldRequests held = new HeldRequests();

    private UblkServer reissuing(BlockTarget target) {
        return server(target).recovery(Recovery.REISSUE).queueDepth(8);
    }

    private static KeptDisk kept(MemorySegment content) {
        return new KeptDisk(content);
    }

    private static MemorySegment content() {
        return Arena.ofAuto().allocate(DEVICE_BYTES);
    }

    @Test
    void theNextServerGoesOn() {
        MemorySegment content = content();
        UblkDevice first = start(reissuing(kept(content)).queues(2));
        Disk disk = disk(first);
        write(disk, QUIET, filled(BLOCK, 1));
        fixture.get(first.handOver());
        assertThat(first.isDisposed()).isTrue();
        fixture.get(first.onDispose());
        CompletableFuture<byte[]> meanwhile = disk.read(QUIET, BLOCK);
        fixture.settle();
        assertThat(meanwhile).isNotDone();
        recover(server(kept(content)), first.id());
        assertThat(fixture.get(meanwhile)).isEqualTo(filled(BLOCK, 1));
    }

    @Test
    void whatATargetHasItAnswersAndWhatComesMeanwhileIsTheNextOnes() {
        KeptDisk next = kept(content());
        AtomicReference<EventLoop> loop = new AtomicReference<>();
        UblkDevice first = start(reissuing(queue -> {
            loop.set(queue.loop());
            return queue.answer(held::hold);
        }));
        Disk disk = disk(first);
        List<CompletableFuture<byte[]>> before = startReads(disk, 3);
        fixture.await(() -> held.size() == 3);
        CompletableFuture<Void> handedOver = first.handOver().toFuture();
        fixture.get(Mono.<Void>empty().subscribeOn(loop.get()));         // its queue has heard of it
        CompletableFuture<byte[]> meanwhile = disk.read(place(3), BLOCK);
        fixture.settle();
        assertThat(handedOver).isNotDone();
        assertThat(held.size()).as("requests given to the target").isEqualTo(3);

        held.answerLastFirst();
        fixture.get(handedOver);
        for (int i = 0; i < 3; i++) {
            assertThat(fixture.get(before.get(i))).isEqualTo(filled(BLOCK, HeldRequests.numberOf(place(i))));
        }
        assertThat(meanwhile).isNotDone();
        recover(server(next), first.id());
        assertThat(fixture.get(meanwhile)).isEqualTo(filled(BLOCK, 0));
        assertThat(next.executed()).as("requests the next one executed").isEqualTo(1);
    }

    /** It is committed in a turn that would wait for something else to complete too, and there is nothing else. */
    @Test
    void theLastAnswerOfATargetIsHeardOfThoughNothingFollows() {
        List<BlockRequest> begun = new CopyOnWriteArrayList<>();
        UblkDevice device = start(reissuing(queue -> queue.answer(request -> {
            if (isQuiet(request)) begun.add(request);
            return Mono.delay(SHORT, queue.loop()).thenReturn(request.complete());
        })));
        CompletableFuture<byte[]> read = disk(device).read(QUIET, BLOCK);
        fixture.await(() -> begun.size() == 1);
        fixture.get(device.handOver());
        assertThat(fixture.get(read)).hasSize(BLOCK);
        recover(server(kept(content())), device.id());
    }

    @Test
    void nothingIsDoneTwice() {
        MemorySegment content = content();
        List<KeptDisk> targets = new ArrayList<>();
        targets.add(kept(content));
        UblkDevice device = start(reissuing(targets.getLast()));
        Disk disk = disk(device);
        List<CompletableFuture<Void>> writes = new ArrayList<>();
        for (int round = 0; round < 5; round++) {
            for (int i = 0; i < READS; i++) writes.add(disk.write(place(round * READS + i), filled(BLOCK, round + 1)));
            fixture.get(device.handOver());
            targets.add(kept(content));
            device = recover(server(targets.getLast()), device.id());
        }
        writes.forEach(fixture::get);
        assertThat(targets.stream().mapToLong(KeptDisk::executed).sum()).isEqualTo(writes.size());
        for (int i = 0; i < writes.size(); i++) {
            assertThat(read(disk, place(i), BLOCK)).isEqualTo(filled(BLOCK, i / READS + 1));
        }
    }

    @Test
    void aTargetThatDoesNotAnswerKeepsTheDevice() {
        UblkDevice device = start(reissuing(queue -> queue.answer(held::hold)).stopGrace(SHORT));
        Disk disk = disk(device);
        CompletableFuture<byte[]> first = disk.read(place(0), BLOCK);
        fixture.await(() -> held.size() == 1);
        CompletableFuture<Throwable> refusal = device.handOver().toFuture().handle((nothing, e) -> e);
        fixture.settle();
        CompletableFuture<byte[]> second = disk.read(place(1), BLOCK);
        assertThat(fixture.get(refusal)).isInstanceOf(TimeoutException.class)
                .hasMessageContaining("the target of " + device + " has not answered everything within PT1S; it goes on");
        fixture.await(() -> held.size() == 2);
        held.open();
        assertThat(fixture.get(first)).hasSize(BLOCK);
        assertThat(fixture.get(second)).hasSize(BLOCK);
        assertThat(device.isDisposed()).isFalse();

        fixture.get(device.handOver());
        recover(server(kept(content())), device.id());
        assertThat(read(disk, QUIET, BLOCK)).hasSize(BLOCK);
    }

    @Test
    void queuesCompleteAndThenTargetsEnd() {
        List<String> signals = new ArrayList<>();
        UblkDevice device = start(reissuing(queue -> queue.doOnComplete(() -> signals.add("queue"))
                .map(BlockRequest::complete)
                .concatWith(Mono.<Completion>empty().doFinally(end -> signals.add("target")))));
        fixture.get(device.handOver());
        assertThat(signals).containsExactly("queue", "target");
        recover(server(kept(content())), device.id());
    }

    @Test
    void whoDisposesMeanwhileComesFirst() {
        UblkDevice device = start(reissuing(queue -> queue.answer(held::hold)).withoutPartitionScan());
        Disk disk = disk(device);
        CompletableFuture<byte[]> read = disk.read(QUIET, BLOCK);
        fixture.await(() -> held.size() == 1);
        CompletableFuture<Void> handedOver = device.handOver().toFuture();
        fixture.settle();
        CompletableFuture<byte[]> meanwhile = disk.read(place(1), BLOCK);
        fixture.awaitInFlight(device.id(), 2);                         // one that comes after the disposal finds no device
        device.dispose();
        fixture.settle();
        held.open();
        assertThat(fixture.get(read)).hasSize(BLOCK);
        assertThat(fixture.get(meanwhile)).hasSize(BLOCK);
        closeDisks();
        fixture.get(device.disposeLater());
        assertThatThrownBy(() -> fixture.get(handedOver)).hasMessageContaining("was disposed meanwhile");
        assertNothingIsLeft();
    }

    @Test
    void onlyWhatIsReissuedCanBeHandedOver() {
        for (Recovery recovery : List.of(Recovery.NONE, Recovery.HOLD, Recovery.FAIL_FAST)) {
            UblkDevice device = start(server(kept(content())).recovery(recovery));
            assertThatThrownBy(() -> fixture.get(device.handOver())).isInstanceOf(IllegalStateException.class)
                    .hasMessage(device + " was made with Recovery." + recovery
                            + "; it can be handed over only with REISSUE, or what comes meanwhile would fail");
            assertThat(read(disk(device), QUIET, BLOCK)).hasSize(BLOCK);
        }
    }

    @Test
    void aDeviceIsHandedOverOnceAtATime() {
        UblkDevice device = start(reissuing(queue -> queue.answer(held::hold)));
        Disk disk = disk(device);
        CompletableFuture<byte[]> read = disk.read(QUIET, BLOCK);
        fixture.await(() -> held.size() == 1);
        CompletableFuture<Void> handedOver = device.handOver().toFuture();
        assertThatThrownBy(() -> fixture.get(device.handOver())).hasMessage(device + " is being handed over already");
        held.open();
        assertThat(fixture.get(read)).hasSize(BLOCK);
        fixture.get(handedOver);
        recover(server(kept(content())), device.id());
    }

    @Test
    void whoNoLongerWaitsStopsNothing() {
        UblkDevice device = start(reissuing(queue -> queue.answer(held::hold)));
        CompletableFuture<byte[]> read = disk(device).read(QUIET, BLOCK);
        fixture.await(() -> held.size() == 1);
        device.handOver().subscribe().dispose();
        held.open();
        assertThat(fixture.get(read)).hasSize(BLOCK);
        fixture.get(device.onDispose());
        recover(server(kept(content())), device.id());
    }

    @Test
    void whoIsToTakeItOverMayComeTooEarly() {
        MemorySegment content = content();
        UblkDevice device = start(reissuing(kept(content)));
        Disk disk = disk(device);
        CompletableFuture<UblkDevice> next = server(kept(content)).recover(device.id()).toFuture();
        fixture.settle();
        write(disk, QUIET, filled(BLOCK, 5));
        fixture.get(device.handOver());
        UblkDevice recovered = fixture.get(next);
        assertThat(read(disk, QUIET, BLOCK)).isEqualTo(filled(BLOCK, 5));
        closeDisks();
        fixture.get(recovered.disposeLater());
    }

    @Test
    void aHundredTimes() {
        MemorySegment content = content();
        UblkDevice device = start(reissuing(kept(content)).queueDepth(2).maxIoBytes(BLOCK));
        Disk disk = disk(device);
        for (int i = 0; i < 100; i++) {
            CompletableFuture<Void> write = disk.write(place(i), filled(BLOCK, i));
            fixture.get(device.handOver());
            device = recover(server(kept(content)), device.id());
            fixture.get(write);
        }
        for (int i = 0; i < 100; i++) assertThat(read(disk, place(i), BLOCK)).isEqualTo(filled(BLOCK, i));
    }

    // ------------------------------------------------------------------------------------------- what a target is told

    /** It is told by a view of its queue, too. */
    private static BlockTarget listening(List<BlockQueue> queues, BlockTarget target) {
        return queue -> {
            BlockQueue view = queue.via(requests -> requests);
            queues.addAll(List.of(queue, view));
            return target.serve(view);
        };
    }

    @Test
    void aTargetIsToldWhetherAnotherHadTheDeviceBefore() {
        List<BlockQueue> first = new CopyOnWriteArrayList<>();
        List<BlockQueue> next = new CopyOnWriteArrayList<>();
        UblkDevice device = start(reissuing(listening(first, kept(content()))));
        assertThat(first).hasSize(2).noneMatch(BlockQueue::isRecovered);
        fixture.get(device.handOver());
        UblkDevice recovered = recover(server(listening(next, kept(content()))), device.id());
        assertThat(next).hasSize(2).allMatch(BlockQueue::isRecovered);
        fixture.get(recovered.disposeLater());
        List<BlockQueue> anew = new CopyOnWriteArrayList<>();
        start(reissuing(listening(anew, kept(content()))).id(device.id()));
        assertThat(anew).as("of the same number, and another device").hasSize(2).noneMatch(BlockQueue::isRecovered);
    }

    @Test
    void aTargetIsToldWhatItsDeviceIsLike() {
        List<BlockQueue> first = new CopyOnWriteArrayList<>();
        List<BlockQueue> next = new CopyOnWriteArrayList<>();
        UblkDevice device = start(reissuing(listening(first, kept(content()))).blockSize(1024).fua().maxDiscardBytes(1 << 20));
        DeviceParameters parameters = parametersOf(device);
        assertThat(parameters.blockSize()).isEqualTo(1024);
        assertThat(first).extracting(BlockQueue::parameters).containsOnly(parameters);
        fixture.get(device.resize(DEVICE_BYTES / 2));
        assertThat(first).extracting(BlockQueue::parameters).containsOnly(parametersOf(device));

        fixture.get(device.handOver());
        device = recover(server(listening(next, kept(content()))).blockSize(4096), device.id());
        assertThat(next).as("what the first server made of it").extracting(BlockQueue::parameters).containsOnly(parametersOf(device));
        assertThat(next.getFirst().parameters()).isEqualTo(parameters.withSize(DEVICE_BYTES / 2));
        assertThat(next.getFirst().blockSize()).isEqualTo(1024);
    }

    private DeviceParameters parametersOf(UblkDevice device) {
        try (UblkControl control = UblkControl.create(fixture.kernel(), Duration.ofSeconds(30))) {
            return fixture.get(control.parameters(device.id()));
        }
    }

    // ------------------------------------------------------------------------------------------- rehearsals

    private List<DeviceStatus> devices() {
        try (UblkControl control = UblkControl.create(fixture.kernel(), Duration.ofSeconds(30))) {
            return fixture.get(control.list().collectList());
        }
    }

    @Test
    void theNextServerRehearsesWhileTheFirstServes() {
        MemorySegment content = content();
        UblkDevice device = start(reissuing(kept(content)).queues(2));
        Disk disk = disk(device);
        write(disk, QUIET, filled(BLOCK, 1));
        List<DeviceStatus> before = devices();
        KeptDisk next = kept(content);
        List<String> watched = new ArrayList<>();
        fixture.get(server(next).listener(new QueueListener() {
            @Override
            public void onFetched(BlockQueue queue, int tags) {
                watched.add(queue.toString());
            }
        }).controlListener((command, id, refusal, nanos) -> watched.add(command)).rehearse(device.id()));
        assertThat(devices()).isEqualTo(before);
        assertThat(watched).isEmpty();
        write(disk, QUIET + BLOCK, filled(BLOCK, 2));

        fixture.get(device.handOver());
        recover(server(next), device.id());
        assertThat(read(disk, QUIET, 2 * BLOCK)).startsWith(filled(BLOCK, 1)).endsWith(filled(BLOCK, 2));
    }

    @Test
    void whatWouldBeRefusedIsRefusedWhileTheFirstServes() {
        UblkDevice device = start(reissuing(kept(content())));
        assertThatThrownBy(() -> fixture.get(server(kept(content())).dataMode(DataMode.LATE_COPY).rehearse(device.id())))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("does not fit this server's DataMode.LATE_COPY");
        assertThatThrownBy(() -> fixture.get(server(kept(content())).rehearse(55)))
                .isInstanceOf(KernelException.class).hasMessageContaining("There is no device 55");
        FaultyKernel faulty = new FaultyKernel(fixture.kernel(), 20);  // past the control plane, before the start
        assertThatThrownBy(() -> fixture.get(server(kept(content())).kernel(faulty.kernel()).rehearse(device.id())))
                .isInstanceOf(KernelException.class).hasMessageContaining("for a test");
        assertThat(devices()).extracting(DeviceStatus::id).containsExactly(device.id());
        assertThat(read(disk(device), QUIET, BLOCK)).hasSize(BLOCK);

        UblkDevice mortal = start(server(kept(content())));
        assertThatThrownBy(() -> fixture.get(server(kept(content())).rehearse(mortal.id())))
                .hasMessage(mortal + " was made with Recovery.NONE, and goes with its server");
    }

    // ------------------------------------------------------------------------------------------- resizing

    @Test
    void aTargetLearnsOfANewSize() {
        List<BlockQueue> queues = new ArrayList<>();
        MemorySegment content = Arena.ofAuto().allocate(2 * DEVICE_BYTES);
        UblkDevice device = start(server(queue -> {
            queues.add(queue);
            return Flux.from(kept(content).serve(queue));
        }).queues(2));
        Disk disk = disk(device);
        fixture.get(device.resize(2 * DEVICE_BYTES));
        assertThat(queues).extracting(BlockQueue::sizeBytes).containsExactly(2 * DEVICE_BYTES, 2 * DEVICE_BYTES);
        write(disk, DEVICE_BYTES + QUIET, filled(BLOCK, 2));
        assertThat(read(disk, DEVICE_BYTES + QUIET, BLOCK)).isEqualTo(filled(BLOCK, 2));
        fixture.get(device.resize(DEVICE_BYTES));
        assertThat(queues).extracting(BlockQueue::sizeBytes).containsExactly(DEVICE_BYTES, DEVICE_BYTES);
        assertThatThrownBy(() -> fixture.get(device.resize(1))).isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void theNextServerKnowsTheNewSize() {
        List<Long> sizes = new ArrayList<>();
        UblkDevice device = start(reissuing(kept(content())));
        fixture.get(device.resize(DEVICE_BYTES / 2));
        fixture.get(device.handOver());
        recover(server(queue -> {
            sizes.add(queue.sizeBytes());
            return kept(content()).serve(queue);
        }), device.id());
        assertThat(sizes).containsExactly(DEVICE_BYTES / 2);
    }
}
