package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Schedulers;

/** A device can be stopped at any time, whatever its target does, and nothing that uses it hangs. */
abstract class StopContract extends DeviceContract {

    private static final Duration SHORT = Duration.ofMillis(100);

    private final HeldRequests held = new HeldRequests();
    private final ManualTarget manual = new ManualTarget();

    private void stops(UblkDevice device) {
        fixture.get(device.disposeLater());
        assertThat(device.isDisposed()).isTrue();
        assertNothingIsLeft();
    }

    @Test
    void whileIdle() {
        stops(start(server(queue -> queue.answer(held::hold))));
    }

    @Test
    void whenNothingWasEverAskedFor() {
        stops(start(server(manual).stopGrace(SHORT)));
    }

    @Test
    void whileStarved() {
        UblkDevice device = start(server(manual).stopGrace(SHORT));
        manual.request(4);
        List<CompletableFuture<byte[]>> reads = startReads(disk(device), 16);
        fixture.await(() -> manual.arrived() == 4);
        fixture.settle();
        device.dispose();
        fixture.await(() -> reads.stream().allMatch(CompletableFuture::isDone));
        stopsAfterClosing(device);
    }

    /** What applications still have open keeps the number of a device in use, see {@link #whileAnApplicationHasItOpen}. */
    private void stopsAfterClosing(UblkDevice device) {
        closeDisks();
        stops(device);
    }

    @Test
    void whileBusy() {
        UblkDevice device =
                start(server(queue -> queue.publishOn(Schedulers.boundedElastic()).map(BlockRequest::complete)).queues(2));
        Disk disk = disk(device);
        List<CompletableFuture<byte[]>> reads = new ArrayList<>();
        for (int round = 0; round < 4; round++) {
            reads.addAll(startReads(disk, 32));
            if (round == 1) device.dispose();
        }
        fixture.await(() -> reads.stream().allMatch(CompletableFuture::isDone));
        stopsAfterClosing(device);
    }

    @Test
    void afterItsTargetWasLost() {
        Sinks.Empty<Completion> end = Sinks.empty();
        UblkDevice device = start(server(queue -> queue.answer(held::hold).mergeWith(end.asMono())));
        end.tryEmitError(new IllegalStateException("a bug of the target"));
        assertAllFail(startReads(disk(device), 4));
        stopsAfterClosing(device);
        assertThat(log.takeErrors()).singleElement().asString().contains("a bug of the target");
    }

    @Test
    void whileATargetNeverAnswers() {
        UblkDevice device = start(server(queue -> queue.answer(held::hold)).stopGrace(SHORT));
        CompletableFuture<byte[]> read = disk(device).read(QUIET, BLOCK);
        fixture.await(() -> held.size() == 1);
        device.dispose();
        assertFails(read);
        stopsAfterClosing(device);
    }

    @Test
    void aTargetHasItsGraceToAnswer() {
        UblkDevice device = start(server(queue -> queue.answer(held::hold)));
        CompletableFuture<byte[]> read = disk(device).read(QUIET, BLOCK);
        fixture.await(() -> held.size() == 1);
        device.dispose();
        fixture.settle();
        assertThat(read).isNotDone();
        held.open();
        assertThat(fixture.get(read)).isEqualTo(filled(BLOCK, HeldRequests.numberOf(QUIET)));
        stopsAfterClosing(device);
    }

    /** Nothing is left of ours then; the number is free when the application has closed it. */
    @Test
    void whileAnApplicationHasItOpen() {
        UblkDevice device = start(server(queue -> queue.answer(held::hold)));
        held.open();
        Disk disk = disk(device);
        read(disk, QUIET, BLOCK);
        fixture.get(device.disposeLater());
        assertFails(disk.read(QUIET, BLOCK));
        assertThat(log.warnings()).singleElement().asString().contains("applications still have it open");
        stopsAfterClosing(device);
    }

    @Test
    void itsQueuesAndThenItsTargetsComplete() {
        List<String> signals = new ArrayList<>();
        UblkDevice device = start(server(queue -> queue.doOnComplete(() -> signals.add("queue"))
                .map(BlockRequest::complete)
                .concatWith(Mono.<Completion>empty().doFinally(end -> signals.add("target")))));
        stops(device);
        assertThat(signals).containsExactly("queue", "target");
    }

    @Test
    void aTargetMayTidyUpOnItsLoop() {
        AtomicReference<String> tidied = new AtomicReference<>();
        UblkDevice device = start(server(queue -> Flux.usingWhen(Mono.just("resource"),
                resource -> queue.answer(held::hold),
                resource -> Mono.delay(SHORT, queue.loop()).doOnNext(tick -> tidied.set(resource)))));
        stops(device);
        assertThat(tidied).hasValue("resource");
    }

    @Test
    void onDisposeTellsWhoWaits() {
        UblkDevice device = start(server(queue -> queue.answer(held::hold)));
        CompletableFuture<Void> gone = device.onDispose().toFuture();
        assertThat(gone).isNotDone();
        assertThat(device.isDisposed()).isFalse();
        device.dispose();
        assertThat(device.isDisposed()).isTrue();
        fixture.get(gone);
        assertNothingIsLeft();
    }

    @Test
    void twiceIsOnce() {
        UblkDevice device = start(server(queue -> queue.answer(held::hold)));
        CompletableFuture<Void> first = device.disposeLater().toFuture();
        CompletableFuture<Void> second = device.disposeLater().toFuture();
        fixture.get(first);
        fixture.get(second);
        stops(device);
    }

    @Test
    void aTargetMayDisposeItsOwnDevice() {
        AtomicReference<UblkDevice> device = new AtomicReference<>();
        device.set(start(server(queue -> queue.answer(request -> {
            if (isQuiet(request)) device.get().dispose();
            return Mono.just(request.complete());
        }))));
        assertThat(read(disk(device.get()), QUIET, BLOCK)).hasSize(BLOCK);
        stopsAfterClosing(device.get());
    }

    @Test
    void itsNumberIsFreeAtOnce() {
        UblkDevice device = start(server(queue -> queue.answer(held::hold)));
        stops(device);
        UblkDevice next = start(server(queue -> queue.answer(held::hold)).id(device.id()));
        assertThat(next.id()).isEqualTo(device.id());
    }

    @Test
    void itsLoopsEnd() {
        AtomicReference<BlockQueue> served = new AtomicReference<>();
        UblkDevice device = start(server(queue -> {
            served.set(queue);
            return queue.answer(held::hold);
        }));
        stops(device);
        assertThat(served.get().loop().isDisposed()).isTrue();
    }
}
