package io.reactorublk;

import static io.reactorublk.Operation.READ;
import static io.reactorublk.Operation.WRITE;
import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.uring.Errno;
import io.reactorublk.uring.UringFile;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.BiFunction;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * What an application is told is what was done, in every {@link DataMode}, whatever a target says and however early: a READ never
 * shows what was in its pages before, and no success is told of what fails later.
 */
abstract class TrueAnswerContract extends DataModeHarness {

    /** Writes to all tags, so that memory of theirs is full of something. */
    private void dirty(Disk disk) {
        for (int round = 0; round < 4; round++) writeBlocks(disk, 64);
    }

    private void assertWarned(String words) {
        fixture.await(() -> !log.warnings().isEmpty());
        assertThat(log.warnings()).anySatisfy(warning -> assertThat(warning).contains("is answered with EIO", words));
    }

    private static byte[] halfFilled() {
        return Arrays.copyOf(filled(BLOCK, 7), 2 * BLOCK);
    }

    // ------------------------------------------------------------------------------------------- reads

    @ParameterizedTest
    @EnumSource
    void aReadThatNobodyTouchesIsZeroes(DataMode mode) {
        Disk disk = disk(mode, target(request -> Mono.just(request.complete())));
        dirty(disk);
        for (CompletableFuture<byte[]> read : startReads(disk, 64)) assertThat(fixture.get(read)).isEqualTo(new byte[BLOCK]);
    }

    @ParameterizedTest
    @EnumSource(names = {"COPY", "USER_COPY"})
    void roomInThisProcessIsZeroesAtFirst(DataMode mode) {
        Disk disk = disk(mode, target(request -> {
            if (request.operation() == READ) request.data().asSlice(0, BLOCK).fill((byte) 7);
            return Mono.just(request.complete());
        }));
        dirty(disk);
        for (int i = 0; i < 64; i++) assertThat(read(disk, place(i), 2 * BLOCK)).isEqualTo(halfFilled());
    }

    @ParameterizedTest
    @EnumSource
    void aReadThatIsNotFilledAsFarAsItIsCompletedFails(DataMode mode) {
        Disk disk = disk(mode, target(request -> request.operation() == READ
                ? request.fill(0, memory(filled(BLOCK, 7))).thenReturn(request.complete()) : Mono.just(request.complete())));
        assertThat(read(disk, QUIET, BLOCK)).isEqualTo(filled(BLOCK, 7));
        assertThat(failureOf(disk.read(QUIET, 2 * BLOCK))).isEqualTo(Errno.EIO);
        assertWarned("not so many were filled");
    }

    @ParameterizedTest
    @EnumSource
    void aReadMayHaveNoGap(DataMode mode) {
        Disk disk = disk(mode, target(request -> request.fill(2 * BLOCK, memory(filled(BLOCK, 7)))
                .then(request.fill(0, memory(filled(BLOCK, 7)))).thenReturn(request.complete())));
        assertThat(failureOf(disk.read(QUIET, 3 * BLOCK))).isEqualTo(Errno.EIO);
        assertWarned("not so many were filled");
    }

    @ParameterizedTest
    @EnumSource
    void aReadIsFilledInAnyOrder(DataMode mode) {
        List<Integer> order = List.of(3, 1, 2, 0, 1);
        Disk disk = disk(mode, target(request -> Flux.fromIterable(order)
                .concatMap(i -> request.fill(i * BLOCK, memory(filled(BLOCK, i)))).then(Mono.fromSupplier(request::complete))));
        byte[] expected = new byte[4 * BLOCK];
        for (int i = 0; i < 4; i++) Arrays.fill(expected, i * BLOCK, (i + 1) * BLOCK, (byte) i);
        assertThat(read(disk, QUIET, expected.length)).isEqualTo(expected);
    }

    // ------------------------------------------------------------------------------------------- answers that come too early

    /** Says that all was done before it has begun. */
    private static BlockTarget early(Path path, BiFunction<UringFile, BlockRequest, Mono<?>> operation) {
        return target(path, (file, request) -> {
            operation.apply(file, request).subscribe(done -> {}, e -> {});
            return Mono.just(request.complete());
        });
    }

    @ParameterizedTest
    @EnumSource
    void anEarlyAnswerWaitsForAllStepsOfARead(DataMode mode) {
        Path pipe = fixture.pipe();
        Disk disk = disk(mode, early(pipe, (file, request) -> request.transfer(file, 0)));
        CompletableFuture<byte[]> read = disk.read(QUIET, 2 * BLOCK);
        writePipe(pipe, filled(BLOCK, 7));
        fixture.settle();
        assertThat(read).isNotDone();
        writePipe(pipe, new byte[BLOCK]);
        assertThat(fixture.get(read)).isEqualTo(halfFilled());
    }

    @ParameterizedTest
    @EnumSource
    void anEarlyAnswerWaitsForAFill(DataMode mode) {
        MemorySegment content = memory(filled(2 * BLOCK, 7));
        Disk disk = disk(mode, early(area(), (file, request) -> request.fill(0, content)));
        assertThat(read(disk, QUIET, 2 * BLOCK)).isEqualTo(filled(2 * BLOCK, 7));
    }

    @ParameterizedTest
    @EnumSource
    void anEarlyAnswerOfAWriteWaitsForItsBytes(DataMode mode) {
        Path path = area();
        Disk disk = disk(mode, early(path, (file, request) -> request.transfer(file, place(request))));
        byte[] bytes = pattern(MAX_IO, 1);
        write(disk, QUIET, bytes);
        assertThat(fixture.content(path)).startsWith(bytes);
    }

    @ParameterizedTest
    @EnumSource
    void anEarlyAnswerIsNotBelievedIfALaterStepOfAReadFails(DataMode mode) {
        Path path = fixture.file(filled(BLOCK + 100, 7));
        Disk disk = disk(mode, early(path, (file, request) -> request.transfer(file, 0)));
        assertThat(read(disk, QUIET, BLOCK)).isEqualTo(filled(BLOCK, 7));
        assertThat(failureOf(disk.read(QUIET, 2 * BLOCK))).isEqualTo(Errno.EIO);
        assertWarned("failed later");
    }

    @ParameterizedTest
    @EnumSource
    void anEarlyAnswerIsNotBelievedIfAWriteFails(DataMode mode) {
        Path path = area();
        Disk disk = disk(mode, queue -> Flux.usingWhen(UringFile.open(queue.loop(), path, StandardOpenOption.READ),
                file -> queue.answer(request -> {
                    if (request.operation() == WRITE) request.transfer(file, 0).subscribe(done -> {}, e -> {});
                    return Mono.just(request.complete());
                }), UringFile::close));
        assertThat(failureOf(disk.write(QUIET, filled(BLOCK, 1)))).isEqualTo(Errno.EIO);
        assertWarned("failed later");
        assertThat(fixture.content(path)).startsWith(new byte[BLOCK]);
    }

    /** Of one that was told in time, too. */
    @ParameterizedTest
    @EnumSource
    void aStepThatFailedAndWasDoneAgainDoesNotCount(DataMode mode) {
        Path path = fixture.file(filled(BLOCK, 7));
        Disk disk = disk(mode, target(path, (file, request) -> request.transfer(file, 0)
                .onErrorResume(e -> request.fill(0, memory(filled(2 * BLOCK, 8))).thenReturn(request.complete()))));
        assertThat(read(disk, QUIET, 2 * BLOCK)).isEqualTo(filled(2 * BLOCK, 8));
        assertThat(log.warnings()).isEmpty();
    }

    /** The target has what it wants from elsewhere. */
    @ParameterizedTest
    @EnumSource
    void whatWasCancelledDoesNotCount(DataMode mode) {
        Path pipe = fixture.pipe();
        Disk disk = disk(mode, target(pipe, (file, request) -> request.transfer(file, 0).timeout(Duration.ofMillis(50),
                request.fill(0, memory(filled(BLOCK, 8))).thenReturn(request.complete()), file.loop())));
        CompletableFuture<byte[]> read = disk.read(QUIET, BLOCK);
        fixture.settle();
        fixture.elapse(Duration.ofMillis(50));
        assertThat(fixture.get(read)).isEqualTo(filled(BLOCK, 8));
        assertThat(log.warnings()).isEmpty();
    }
}
