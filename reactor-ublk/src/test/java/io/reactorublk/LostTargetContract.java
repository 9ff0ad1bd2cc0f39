package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.reactorublk.uring.Errno;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.reactivestreams.Subscription;
import reactor.core.CoreSubscriber;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;

/**
 * A target that breaks its promises is lost: what it held and all that comes is answered with EIO, and the device can be
 * removed like any other.
 */
abstract class LostTargetContract extends DeviceContract {

    private final HeldRequests held = new HeldRequests();
    private final ManualTarget manual = new ManualTarget();
    private final Sinks.Empty<Completion> end = Sinks.empty();

    /** Has it hold some requests, breaks it, and looks what becomes of them and of others. */
    private void isLost(BlockTarget target, Runnable breakIt) {
        UblkDevice device = start(server(target));
        Disk disk = disk(device);
        List<CompletableFuture<byte[]>> reads = startReads(disk, 8);
        fixture.await(() -> held.size() == 8);
        breakIt.run();
        answersEio(device, disk, reads);
    }

    private void answersEio(UblkDevice device, Disk disk, List<CompletableFuture<byte[]>> inFlight) {
        for (CompletableFuture<byte[]> read : inFlight) assertThat(failureOf(read)).isEqualTo(Errno.EIO);
        for (CompletableFuture<byte[]> read : startReads(disk, 8)) assertThat(failureOf(read)).isEqualTo(Errno.EIO);
        assertThat(failureOf(disk.write(QUIET, filled(BLOCK, 1)))).isEqualTo(Errno.EIO);
        assertThat(device.isDisposed()).isFalse();
        assertThat(log.warnings()).anySatisfy(warning -> assertThat(warning).contains("answers EIO from now on"));
        disk.close();
        fixture.get(device.disposeLater());
        assertNothingIsLeft();
    }

    @Test
    void aTargetThatFails() {
        isLost(queue -> queue.answer(held::hold).mergeWith(end.asMono()),
                () -> end.tryEmitError(new IllegalStateException("a bug of the target")));
        assertThat(log.takeErrors()).singleElement().asString()
                .contains("the target of queue 0 of /dev/ublkb", "a bug of the target");
    }

    @Test
    void aTargetThatEndsEarly() {
        isLost(queue -> queue.answer(held::hold).takeUntilOther(end.asMono()), end::tryEmitEmpty);
    }

    @Test
    void aTargetThatEndsButKeepsItsQueue() {
        isLost(queue -> Flux.create(sink -> {
            queue.flatMap(held::hold).subscribe(sink::next);
            end.asMono().subscribe(nothing -> {}, e -> {}, sink::complete);
        }), end::tryEmitEmpty);
    }

    @Test
    void aTargetWhoseOperatorThrows() {
        UblkDevice device = start(server(queue -> queue.map(request -> {
            if (isQuiet(request)) throw new IllegalStateException("a bug of the target");
            return request.complete();
        })));
        Disk disk = disk(device);
        answersEio(device, disk, startReads(disk, 8));
        assertThat(log.takeErrors()).singleElement().asString().contains("a bug of the target");
    }

    @Test
    void aSubscriberThatThrowsInOnNext() {
        throwsInOnNext(queue -> queue);
    }

    /** What it throws goes to whoever opened the gate, not to the queue. */
    @Test
    void aSubscriberThatThrowsWhenItGetsWhatWasHeld() {
        throwsInOnNext(queue -> queue.holdUntil(request -> Mono.just(request).publishOn(queue.loop())));
    }

    private void throwsInOnNext(UnaryOperator<BlockQueue> seen) {
        UblkDevice device = start(server(queue -> Flux.create(sink -> seen.apply(queue).subscribe(new CoreSubscriber<>() {
            @Override
            public void onSubscribe(Subscription s) {
                s.request(Long.MAX_VALUE);
            }

            @Override
            public void onNext(BlockRequest request) {
                throw new IllegalStateException("a bug of the target");
            }

            @Override
            public void onError(Throwable e) {
                sink.error(e);
            }

            @Override
            public void onComplete() {
                sink.complete();
            }
        }))));
        Disk disk = disk(device);
        answersEio(device, disk, startReads(disk, 8));
        assertThat(log.takeErrors()).isNotEmpty().allSatisfy(error -> assertThat(error).contains("a bug of the target"));
    }

    /** Its publisher does not end either, so it is given a while and then cancelled. */
    @Test
    void aTargetThatCancelsItsQueue() {
        manual.request(Long.MAX_VALUE);
        UblkDevice device = start(server(manual));
        Disk disk = disk(device);
        assertThat(read(disk, QUIET, BLOCK)).hasSize(BLOCK);
        manual.cancel();
        fixture.await(() -> !log.warnings().isEmpty());
        answersEio(device, disk, List.of());
        assertThat(log.warnings()).anySatisfy(warning -> assertThat(warning).contains("is cancelled"));
    }

    @Test
    void aDemandOfNothingIsRefused() {
        manual.request(Long.MAX_VALUE);
        UblkDevice device = start(server(manual));
        Disk disk = disk(device);
        manual.request(0);
        fixture.await(() -> !log.warnings().isEmpty());
        answersEio(device, disk, List.of());
        assertThat(log.takeErrors()).singleElement().asString().contains("demand of 0", "3.9");
    }

    @Test
    void anAnswerThatComesTooLateChangesNothing() {
        UblkDevice device = start(server(queue -> Flux.create(sink -> {
            queue.flatMap(held::hold).subscribe(sink::next);
            end.asMono().subscribe(nothing -> {}, sink::error);
        })));
        Disk disk = disk(device);
        List<CompletableFuture<byte[]>> reads = startReads(disk, 8);
        fixture.await(() -> held.size() == 8);
        end.tryEmitError(new IllegalStateException("a bug of the target"));
        assertAllFail(reads);
        held.answerLastFirst();
        answersEio(device, disk, List.of());
        assertThat(log.takeErrors()).singleElement().asString().contains("a bug of the target");
    }

    @Test
    void aSecondSubscriberIsRefusedAndTheFirstGoesOn() {
        List<Throwable> refusals = new CopyOnWriteArrayList<>();
        Disk disk = disk(queue -> {
            Flux<Completion> answers = queue.answer(request -> Mono.just(request.complete()));
            return answers.doOnSubscribe(s -> Mono.delay(Duration.ZERO, queue.loop())
                    .subscribe(tick -> queue.subscribe(request -> {}, refusals::add)));
        });
        fixture.await(() -> !refusals.isEmpty());
        assertThat(refusals).singleElement().satisfies(e -> assertThat(e).isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("has a subscriber already"));
        assertThat(read(disk, QUIET, BLOCK)).hasSize(BLOCK);
    }

    @Test
    void aTargetThatThrowsFromServeFailsTheStart() {
        BlockTarget target = queue -> {
            throw new IllegalStateException("a bug of the target");
        };
        assertThatThrownBy(() -> start(server(target))).isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("a bug of the target");
        assertNothingIsLeft();
    }

    @Test
    void aTargetThatFailsAtOnceFailsTheStart() {
        assertThatThrownBy(() -> start(server(queue -> Flux.error(new IllegalStateException("a bug of the target")))))
                .isInstanceOf(IllegalStateException.class).hasMessageContaining("a bug of the target");
        assertNothingIsLeft();
    }

    @Test
    void aTargetThatNeverLooksAtItsQueueFailsTheStart() {
        assertThatThrownBy(() -> start(server(queue -> Flux.empty())))
                .isInstanceOf(IllegalStateException.class).hasMessageContaining("ended without subscribing");
        assertNothingIsLeft();
    }

    @Test
    void theSecondTargetThatFailsTakesTheFirstWithIt() {
        Sinks.Empty<Void> firstEnded = Sinks.empty();
        assertThatThrownBy(() -> start(server(queue -> queue.id() == 1
                ? Flux.error(new IllegalStateException("a bug of the target"))
                : queue.answer(request -> Mono.just(request.complete())).doOnComplete(firstEnded::tryEmitEmpty)).queues(2)))
                .hasMessageContaining("a bug of the target");
        fixture.get(firstEnded.asMono());
        assertNothingIsLeft();
    }
}
