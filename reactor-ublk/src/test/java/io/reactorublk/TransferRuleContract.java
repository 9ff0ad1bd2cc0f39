package io.reactorublk;

import static io.reactorublk.DataMode.LATE_ZERO_COPY;
import static io.reactorublk.DataMode.ZERO_COPY;
import static io.reactorublk.Operation.READ;
import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.uring.Errno;
import io.reactorublk.uring.IoBuffer;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.UringFile;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.EnumSource.Mode;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;

/**
 * What is decided of transfers on this side of the kernel, in every {@link DataMode}: refusals, ends and first errors. So in
 * memory only.
 */
abstract class TransferRuleContract extends DataModeHarness {

    private static Mono<Integer> once(UringFile file, BlockRequest request, IoBuffer buffer) {
        return request.operation() == READ ? file.read(buffer, place(request)) : file.write(buffer, place(request));
    }

    @ParameterizedTest
    @EnumSource(names = "LATE_COPY", mode = Mode.EXCLUDE)
    void itsBufferIsReadAndWrittenByAFile(DataMode mode) {
        Path path = area();
        assertServes(disk(mode, target(path, (file, request) -> request.operation().hasData()
                ? once(file, request, request.buffer()).map(request::complete) : Mono.just(request.complete()))), path);
    }

    @ParameterizedTest
    @EnumSource
    void aFileOnAnotherLoopIsTransferredToo(DataMode mode) {
        Path path = area();
        UringFile file = openElsewhere(path);
        assertServes(disk(mode, target(request -> request.operation().hasData()
                ? request.transfer(file, place(request)) : Mono.just(request.complete()))), path);
    }

    @Test
    void aBufferThatIsRegisteredWithOneLoopIsRefusedOnAnother() {
        UringFile file = openElsewhere(area());
        List<Throwable> refusals = new CopyOnWriteArrayList<>();
        Disk disk = disk(ZERO_COPY, target(request -> once(file, request, request.buffer()).doOnError(refusals::add)
                .then(Mono.fromSupplier(request::complete))));
        assertThat(failureOf(disk.read(QUIET, BLOCK))).isEqualTo(Errno.EIO);
        assertThat(refusals).singleElement().satisfies(e -> assertThat(e).isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("another loop's ring"));
    }

    @ParameterizedTest
    @EnumSource
    void whereAFileEndsARequestFails(DataMode mode) {
        Path path = fixture.file(new byte[BLOCK + 100]);
        Disk disk = disk(mode, target(path, (file, request) -> request.transfer(file, place(request)).onErrorResume(
                e -> Mono.just(request.fail(e)))));
        assertThat(read(disk, QUIET, BLOCK)).isEqualTo(new byte[BLOCK]);
        assertThat(failureOf(disk.read(QUIET + BLOCK, BLOCK))).isEqualTo(Errno.EIO);
        assertThat(failureOf(disk.read(QUIET + 4 * BLOCK, BLOCK))).isEqualTo(Errno.EIO);
    }

    @ParameterizedTest
    @EnumSource
    void theFirstErrorIsTheAnswerAndTheOthersAreWaitedFor(DataMode mode) {
        Path pipe = fixture.pipe();
        Disk disk = disk(mode, target(pipe, (file, request) -> request.fuse(List.of(
                Mono.error(new KernelException("first", Errno.ENOSPC)),
                Mono.error(new KernelException("second", Errno.ETIMEDOUT)),
                request.transfer(file, 0, BLOCK, BLOCK)))));
        CompletableFuture<byte[]> read = disk.read(QUIET, 2 * BLOCK);
        fixture.settle();
        assertThat(read).isNotDone();
        writePipe(pipe, filled(BLOCK, 1));
        assertThat(failureOf(read)).isEqualTo(Errno.ENOSPC);
    }

    @ParameterizedTest
    @EnumSource(names = "LATE_COPY", mode = Mode.EXCLUDE)
    void anAnswerThatIsTooEarlyWaitsForTheOperation(DataMode mode) {
        Path pipe = fixture.pipe();
        Disk disk = disk(mode, target(pipe, (file, request) -> {
            file.read(request.buffer(), 0).subscribe();
            return Mono.just(request.complete());
        }));
        CompletableFuture<byte[]> read = disk.read(QUIET, BLOCK);
        fixture.settle();
        assertThat(read).isNotDone();
        writePipe(pipe, filled(BLOCK, 5));
        assertThat(fixture.get(read)).isEqualTo(filled(BLOCK, 5));
    }

    /** On a loop that is not the device's, which ends no operation there. */
    @ParameterizedTest
    @EnumSource
    void memoryIsKeptWhileALostTargetHasItWrittenTo(DataMode mode) {
        Path pipe = fixture.pipe();
        Sinks.Empty<Completion> end = Sinks.empty();
        UringFile file = openElsewhere(pipe);
        List<BlockRequest> requests = new CopyOnWriteArrayList<>();
        BlockTarget target = target(request -> {
            requests.add(request);
            request.transfer(file, 0).subscribe();                     // so that nobody cancels it
            return Mono.never();
        });
        UblkDevice device = start(server(mode, queue -> Flux.from(target.serve(queue)).mergeWith(end.asMono())));
        Disk disk = disk(device);
        CompletableFuture<byte[]> read = disk.read(QUIET, BLOCK);
        fixture.await(() -> requests.size() == 1);
        fixture.settle();
        end.tryEmitError(new IllegalStateException("a bug of the target"));
        fixture.await(() -> !log.warnings().isEmpty());
        CompletableFuture<Void> ended = device.disposeLater().toFuture();
        fixture.elapse(Duration.ofSeconds(3));                         // such a target is given up after 5 s
        assertThat(ended).isNotDone();
        writePipe(pipe, filled(BLOCK, 1));
        assertFails(read);
        fixture.await(ended::isDone);
        disk.close();
        assertThat(log.takeErrors()).singleElement().asString().contains("a bug of the target");
    }

    @Test
    void moreOperationsOnPagesThanTheTableHasPlacesTakeTurns() {
        Path pipe = fixture.pipe();
        int depth = 2;
        int parts = 4 * 8 * depth;
        int part = BLOCK / parts;
        Disk disk = disk(start(server(LATE_ZERO_COPY, target(pipe, (file, request) -> request.fuse(IntStream.range(0, parts)
                .mapToObj(i -> file.read(request.buffer().slice(i * part, part), 0)).toList()))).queueDepth(depth)));
        CompletableFuture<byte[]> read = disk.read(QUIET, BLOCK);
        fixture.settle();
        assertThat(read).isNotDone();
        writePipe(pipe, filled(BLOCK, 1));
        assertThat(fixture.get(read)).isEqualTo(filled(BLOCK, 1));
    }
}
