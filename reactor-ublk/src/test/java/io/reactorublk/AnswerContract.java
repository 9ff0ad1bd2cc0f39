package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.RecordingTarget.Seen;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.KernelException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import java.util.function.ToIntFunction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;

/** Each request is answered once, however a target behaves; what it does to one request costs no other. */
abstract class AnswerContract extends DeviceContract {

    private static final QueueListener FAILING = new QueueListener() {
        @Override
        public void onFetched(BlockQueue queue, int tags) {
            throw new AssertionError("a test");
        }

        @Override
        public void onCompleted(BlockRequest request, int result, long nanos) {
            throw new IllegalStateException("a test");
        }
    };

    private final RecordingTarget target = new RecordingTarget(DEVICE_BYTES);
    private final HeldRequests held = new HeldRequests();

    /** Treats the first of the test's own requests like this and the others well. */
    private Disk once(Function<BlockRequest, Mono<Completion>> handler) {
        AtomicBoolean first = new AtomicBoolean(true);
        return disk(queue -> queue.answer(request -> isQuiet(request) && first.getAndSet(false)
                ? handler.apply(request)
                : Mono.just(target.apply(request))));
    }

    private void costsOneRequest(Errno errno, Function<BlockRequest, Mono<Completion>> handler) {
        Disk disk = once(handler);
        assertThat(failureOf(disk.read(QUIET, BLOCK))).isEqualTo(errno);
        assertThat(read(disk, QUIET, BLOCK)).hasSize(BLOCK);
    }

    // ------------------------------------------------------------------------------------------- what goes wrong

    @Test
    void anExceptionOfAHandlerIsEio() {
        costsOneRequest(Errno.EIO, request -> {
            throw new IllegalStateException("a bug of the target");
        });
        assertThat(log.warnings()).singleElement().asString().contains("its handler failed", "a bug of the target");
    }

    @Test
    void anErrorOfAHandlerIsEio() {
        costsOneRequest(Errno.EIO, request -> {
            throw new AssertionError("a bug of the target");
        });
    }

    @Test
    void aFailedMonoIsEio() {
        costsOneRequest(Errno.EIO, request -> Mono.error(new IllegalStateException("a bug of the target")));
    }

    @Test
    void aRefusalKeepsItsErrno() {
        costsOneRequest(Errno.ENOSPC, request -> Mono.error(new KernelException("write", Errno.ENOSPC)));
        assertThat(log.warnings()).as("ordinary errors need no stack trace").isEmpty();
    }

    @Test
    void aTimeoutIsOne() {
        costsOneRequest(Errno.ETIMEDOUT, request -> Mono.error(new TimeoutException()));
    }

    @Test
    void aTimeoutOperatorFreesARequestNobodyAnswers() {
        costsOneRequest(Errno.ETIMEDOUT, request -> Mono.<Completion>never()
                .timeout(Duration.ofMillis(20), request.queue().loop()));
    }

    @Test
    void whatIsNotSupportedSaysSo() {
        costsOneRequest(Errno.EOPNOTSUPP, request -> {
            throw new UnsupportedOperationException();
        });
    }

    @Test
    void noAnswerIsEio() {
        costsOneRequest(Errno.EIO, request -> Mono.empty());
    }

    @Test
    void noAnswerInTheEndIsEio() {
        costsOneRequest(Errno.EIO, request -> Mono.delay(Duration.ofMillis(5)).then(Mono.empty()));
    }

    @Test
    void aSecondAnswerIsLoggedAndTheFirstStands() {
        fixture.expectBreach("has been answered already");
        byte[] bytes = pattern(BLOCK, 4);
        Disk disk = disk(queue -> queue.concatMap(request -> isQuiet(request) ? Flux.just(target.apply(request), request.fail(Errno.EIO))
                : Flux.just(target.apply(request))));
        write(disk, QUIET, bytes);
        assertThat(read(disk, QUIET, BLOCK)).isEqualTo(bytes);
        assertThat(log.takeErrors()).isNotEmpty().allSatisfy(error -> assertThat(error).contains("answered already"));
    }

    @Test
    void aSecondAnswerFromAnotherThreadIsLoggedAndTheFirstStands() {
        fixture.expectBreach("has been answered already");
        Disk disk = disk(queue -> queue.publishOn(Schedulers.boundedElastic())
                .concatMap(request -> isQuiet(request) ? Flux.just(target.apply(request), request.fail(Errno.EIO))
                        : Flux.just(target.apply(request))));
        assertAllRead(startReads(disk, 16));
        fixture.await(() -> log.errors().size() == 16);                // the last one may still be on its way
        assertThat(log.takeErrors()).allSatisfy(error -> assertThat(error).contains("answered already"));
    }

    @Test
    void aGateThatThrowsIsEio() {
        AtomicBoolean first = new AtomicBoolean(true);
        Disk disk = disk(queue -> queue.holdUntil(request -> {
            if (isQuiet(request) && first.getAndSet(false)) throw new IllegalStateException("a bug of the gate");
            return Mono.empty();
        }).answer(request -> Mono.just(target.apply(request))));
        assertThat(failureOf(disk.read(QUIET, BLOCK))).isEqualTo(Errno.EIO);
        assertThat(read(disk, QUIET, BLOCK)).hasSize(BLOCK);
        assertThat(log.warnings()).anySatisfy(warning -> assertThat(warning).contains("what it waited for failed"));
    }

    @Test
    void aRequestThatAFilterDropsIsEio() {
        Disk disk = disk(queue -> queue.filter(request -> !isQuiet(request) || request.offset() % (2 * BLOCK) == 0)
                .map(target::apply));
        assertThat(failureOf(disk.read(QUIET + BLOCK, BLOCK))).isEqualTo(Errno.EIO);
        assertThat(read(disk, QUIET, BLOCK)).hasSize(BLOCK);
        assertThat(log.warnings()).singleElement().asString().contains("READ of 4096 bytes", "discarded");
    }

    @Test
    void aRequestThatIsDroppedOnAnotherThreadIsEio() {
        Disk disk = disk(queue -> queue.publishOn(Schedulers.boundedElastic())
                .filter(request -> !isQuiet(request) || request.offset() % (2 * BLOCK) == 0)
                .map(target::apply));
        assertThat(failureOf(disk.read(QUIET + BLOCK, BLOCK))).isEqualTo(Errno.EIO);
        assertThat(read(disk, QUIET, BLOCK)).hasSize(BLOCK);
    }

    @Test
    void aViewOfAQueueAnswersToo() {
        Disk disk = disk(queue -> queue.via(requests -> requests.doOnNext(target::note))
                .answer(request -> Mono.just(request.complete())));
        read(disk, QUIET, BLOCK);
        assertThat(target.seen()).containsExactly(new Seen(Operation.READ, QUIET, BLOCK, false, false));
    }

    /** As who asserts something in one. */
    @Test
    void aListenerThatFailsCostsNoRequest() {
        Disk disk = disk(start(server(target).listener(FAILING)));
        byte[] bytes = pattern(BLOCK, 7);
        write(disk, QUIET, bytes);
        assertThat(read(disk, QUIET, BLOCK)).isEqualTo(bytes);
        disposeDevices();
        assertThat(log.takeErrors()).isNotEmpty().allSatisfy(error -> assertThat(error).contains("a test"));
    }

    @Test
    void aListenerThatFailsCostsTheOtherNothing() {
        AtomicInteger arrived = new AtomicInteger();
        AtomicInteger answered = new AtomicInteger();
        QueueListener counting = new QueueListener() {
            @Override
            public void onFetched(BlockQueue queue, int tags) {
                arrived.addAndGet(tags);
            }

            @Override
            public void onCompleted(BlockRequest request, int result, long nanos) {
                answered.incrementAndGet();
            }
        };
        Disk disk = disk(start(server(target).listener(FAILING.and(counting))));
        write(disk, QUIET, pattern(BLOCK, 7));
        disposeDevices();
        assertThat(arrived).hasPositiveValue();
        assertThat(answered).hasValue(arrived.get());
        assertThat(log.takeErrors()).isNotEmpty().allSatisfy(error -> assertThat(error).contains("a test"));
    }

    // ------------------------------------------------------------------------------------------- when, and from where

    @Test
    void answersComeInAnyOrder() {
        Disk disk = disk(queue -> queue.answer(held::hold));
        List<CompletableFuture<byte[]>> reads = startReads(disk, 32);
        fixture.await(() -> held.size() == 32);
        held.answerLastFirst();
        for (int i = 0; i < 32; i++) {
            assertThat(fixture.get(reads.get(i))).isEqualTo(filled(BLOCK, HeldRequests.numberOf(place(i))));
        }
    }

    @Test
    void answersComeFromAnotherThread() {
        Disk disk = disk(queue -> queue.publishOn(Schedulers.boundedElastic()).map(target::apply));
        byte[] bytes = pattern(MAX_IO, 5);
        write(disk, QUIET, bytes);
        assertThat(read(disk, QUIET, MAX_IO)).isEqualTo(bytes);
    }

    @Test
    void answersComeFromManyThreads() {
        Disk disk = disk(queue -> queue.answer(request ->
                Mono.fromSupplier(() -> target.apply(request)).subscribeOn(Schedulers.boundedElastic())));
        List<CompletableFuture<byte[]>> reads = startReads(disk, 64);
        assertAllRead(reads);
        assertThat(target.seen(Operation.READ)).hasSize(64);
    }

    @Test
    void answersComeLate() {
        Disk disk = disk(queue -> queue.answer(request ->
                Mono.delay(Duration.ofMillis(isQuiet(request) ? 50 : 0)).map(tick -> target.apply(request))));
        assertAllRead(startReads(disk, 16));
    }

    // ------------------------------------------------------------------------------------------- how much was done

    /** Does the first of the test's requests only in part. */
    private Disk partly(ToIntFunction<BlockRequest> bytes) {
        return once(request -> {
            int done = bytes.applyAsInt(request);
            target.note(request);
            target.move(request, Math.min(done, (int) request.length()));
            return Mono.just(request.complete(done));
        });
    }

    @ParameterizedTest
    @EnumSource(names = {"READ", "WRITE"})
    void whatWasNotDoneIsAskedForAgain(Operation operation) {
        Disk disk = partly(request -> BLOCK);
        transfer(disk, operation, 4 * BLOCK);
        assertThat(target.seen(operation)).startsWith(
                new Seen(operation, QUIET, 4 * BLOCK, false, false),
                new Seen(operation, QUIET + BLOCK, 3 * BLOCK, false, false));
    }

    @ParameterizedTest
    @EnumSource(names = {"READ", "WRITE"})
    void anUnevenCountIsRoundedDownToWholeBlocks(Operation operation) {
        Disk disk = partly(request -> 5000);
        transfer(disk, operation, 4 * BLOCK);
        assertThat(target.seen(operation)).element(1).extracting(Seen::offset, Seen::length)
                .containsExactly(QUIET + 4608, 4 * BLOCK - 4608L);
    }

    @ParameterizedTest
    @EnumSource(names = {"READ", "WRITE"})
    void noBytesAreEio(Operation operation) {
        assertThat(failureOf(started(partly(request -> 0), operation, BLOCK))).isEqualTo(Errno.EIO);
        assertThat(target.seen(operation)).hasSize(1);
    }

    @ParameterizedTest
    @EnumSource(names = {"READ", "WRITE"})
    void lessThanABlockIsEio(Operation operation) {
        assertThat(failureOf(started(partly(request -> 511), operation, BLOCK))).isEqualTo(Errno.EIO);
    }

    @ParameterizedTest
    @EnumSource(names = {"READ", "WRITE"})
    void moreThanWasAskedForIsABreachThatCostsOneRequest(Operation operation) {
        Disk disk = partly(request -> (int) request.length() + 1);
        assertThat(failureOf(started(disk, operation, BLOCK))).isEqualTo(Errno.EIO);
        assertThat(log.warnings()).singleElement().asString().contains("cannot complete with 4097 bytes");
        transfer(disk, operation, BLOCK);
    }

    private CompletableFuture<?> started(Disk disk, Operation operation, int length) {
        return operation == Operation.READ ? disk.read(QUIET, length) : disk.write(QUIET, pattern(length, 6));
    }

    /** Writes and reads back; the one that is not asked about happens on the target itself. */
    private void transfer(Disk disk, Operation operation, int length) {
        byte[] bytes = pattern(length, 6);
        if (operation == Operation.WRITE) {
            write(disk, QUIET, bytes);
            assertThat(target.content(QUIET, length)).isEqualTo(bytes);
        } else {
            target.put(QUIET, bytes);
            assertThat(read(disk, QUIET, length)).isEqualTo(bytes);
        }
    }
}
