package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeoutException;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** A device goes from one server to the next while it is in use, without an error and with nothing done twice. */
abstract class HandOverContract extends DeviceContract {

    private static final Duration SHORT = Duration.ofMillis(200);
    private static final int READS = 6;

    private final HeldRequests held = new HeldRequests();

    private UblkServer reissuing(BlockTarget target) {
        return server(target).recovery(Recovery.REISSUE).queueDepth(8);
    }

    private static KeptDisk kept(MemorySegment content) {
        return new KeptDisk(content, false);
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
        UblkDevice first = start(reissuing(queue -> queue.answer(held::hold)));
        Disk disk = disk(first);
        List<CompletableFuture<byte[]>> before = startReads(disk, 3);
        fixture.await(() -> held.size() == 3);
        CompletableFuture<Void> handedOver = first.handOver().toFuture();
        fixture.settle();
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
                .hasMessageContaining("the target of " + device + " has not answered everything within PT0.2S; it goes on");
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
        UblkDevice device = start(reissuing(queue -> queue.answer(held::hold)));
        Disk disk = disk(device);
        CompletableFuture<byte[]> read = disk.read(QUIET, BLOCK);
        fixture.await(() -> held.size() == 1);
        CompletableFuture<Void> handedOver = device.handOver().toFuture();
        fixture.settle();
        CompletableFuture<byte[]> meanwhile = disk.read(place(1), BLOCK);
        fixture.settle();
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
