package io.reactorublk;

import static io.reactorublk.DataMode.LATE_ZERO_COPY;
import static io.reactorublk.DataMode.ZERO_COPY;
import static io.reactorublk.Operation.READ;
import static io.reactorublk.Operation.WRITE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.reactorublk.uring.Errno;
import io.reactorublk.uring.IoBuffer;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.Ring;
import io.reactorublk.uring.UringFile;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.BiFunction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.EnumSource.Mode;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;

/** Bytes of requests to and from files, in every {@link DataMode}: one operation, several at once, and what goes wrong. */
abstract class TransferContract extends DataModeHarness {

    private final HeldRequests held = new HeldRequests();

    private Path area() {
        return fixture.file(new byte[AREA]);
    }

    private static Mono<Integer> once(UringFile file, BlockRequest request, IoBuffer buffer) {
        return request.operation() == READ ? file.read(buffer, place(request)) : file.write(buffer, place(request));
    }

    private static BiFunction<UringFile, BlockRequest, Mono<Completion>> whole() {
        return (file, request) -> request.operation().hasData()
                ? request.transfer(file, place(request)) : file.dataSync().thenReturn(request.complete());
    }

    /** Writes and reads, and looks into the file. */
    private void assertServes(Disk disk, Path path) {
        byte[] bytes = pattern(MAX_IO, 1);
        write(disk, QUIET + BLOCK, bytes);
        assertThat(Arrays.copyOfRange(fixture.content(path), BLOCK, BLOCK + MAX_IO)).isEqualTo(bytes);
        assertThat(read(disk, QUIET + BLOCK, MAX_IO)).isEqualTo(bytes);
        writeBlocks(disk, 16);
        fixture.get(disk.flush());
        List<CompletableFuture<byte[]>> reads = startReads(disk, 16);
        for (int i = 0; i < 16; i++) assertThat(fixture.get(reads.get(i))).isEqualTo(filled(BLOCK, i));
    }

    @ParameterizedTest
    @EnumSource
    void aRequestIsTransferredWhole(DataMode mode) {
        Path path = area();
        assertServes(disk(mode, target(path, whole())), path);
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
    void aShortTransferIsContinued(DataMode mode) {
        Path pipe = fixture.pipe();
        Disk disk = disk(mode, target(pipe, (file, request) -> request.transfer(file, 0)));
        CompletableFuture<byte[]> read = disk.read(QUIET, 2 * BLOCK);
        writePipe(pipe, filled(BLOCK + 100, 1));
        fixture.settle();
        assertThat(read).isNotDone();
        writePipe(pipe, filled(BLOCK - 100, 2));
        assertThat(fixture.get(read)).startsWith(filled(BLOCK + 100, 1)).endsWith(filled(BLOCK - 100, 2));
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

    // ------------------------------------------------------------------------------------------- several at once

    @ParameterizedTest
    @EnumSource
    void oneWriteGoesToTwoFilesAndOneReadComesFromTwo(DataMode mode) {
        Path left = area();
        Path right = area();
        UringFile other = openElsewhere(right);
        Disk disk = disk(mode, target(left, (file, request) -> {
            int length = (int) request.length();
            long place = place(request);
            if (request.operation() == WRITE) {
                return request.fuse(List.of(request.transfer(file, place, 0, length), request.transfer(other, place, 0, length)));
            }
            return request.fuse(List.of(request.transfer(file, place, 0, BLOCK),
                    request.transfer(other, place + BLOCK, BLOCK, length - BLOCK)));
        }));
        byte[] bytes = pattern(4 * BLOCK, 4);
        write(disk, QUIET, bytes);
        assertThat(fixture.content(left)).startsWith(bytes);
        assertThat(fixture.content(right)).startsWith(bytes);
        assertThat(read(disk, QUIET, bytes.length)).isEqualTo(bytes);
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

    // ------------------------------------------------------------------------------------------- ends that come early

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
        if (mode == DataMode.USER_COPY) {                              // its copy to the kernel began with the answer
            assertThat(fixture.get(read)).hasSize(BLOCK);
        } else {
            assertThat(fixture.get(read)).isEqualTo(filled(BLOCK, 5));
        }
    }

    @ParameterizedTest
    @EnumSource
    void aTransferThatIsCancelledLetsGoOfTheRequest(DataMode mode) {
        Path pipe = fixture.pipe();
        Disk disk = disk(mode, target(pipe, (file, request) -> place(request) != 0
                ? request.fill(0, memory(filled(BLOCK, 3))).thenReturn(request.complete())
                : request.transfer(file, 0).timeout(Duration.ofMillis(50), file.loop())));
        CompletableFuture<byte[]> read = disk.read(QUIET, BLOCK);
        fixture.settle();
        fixture.elapse(Duration.ofMillis(50));
        assertThat(failureOf(read)).isEqualTo(Errno.ETIMEDOUT);
        assertThat(read(disk, place(1), BLOCK)).isEqualTo(filled(BLOCK, 3));
    }

    /** Pages in a ring's table hold their request, so even the answer in place of a lost target waits for the last operation. */
    @ParameterizedTest
    @EnumSource
    void aTargetIsLostWhileItsOperationsAreUnderWay(DataMode mode) {
        Path pipe = fixture.pipe();
        Sinks.Empty<Completion> end = Sinks.empty();
        List<BlockRequest> requests = new CopyOnWriteArrayList<>();
        UringFile file = openElsewhere(pipe);
        BlockTarget target = target(request -> {
            requests.add(request);
            return request.transfer(file, 0);
        });
        Disk disk = disk(mode, queue -> Flux.from(target.serve(queue)).mergeWith(end.asMono()));
        CompletableFuture<byte[]> read = disk.read(QUIET, BLOCK);
        fixture.await(() -> requests.size() == 1);
        fixture.settle();
        end.tryEmitError(new IllegalStateException("a bug of the target"));
        fixture.await(() -> !log.warnings().isEmpty());
        writePipe(pipe, filled(BLOCK, 1));
        assertFails(read);
        assertThat(failureOf(disk.read(QUIET, BLOCK))).isEqualTo(Errno.EIO);
        assertThatThrownBy(() -> fixture.get(requests.getFirst().transfer(file, 0))).isInstanceOf(IllegalStateException.class);
        assertThat(log.takeErrors()).singleElement().asString().contains("a bug of the target");
    }

    @Test
    void thePlaceInTheTableThatALostTargetKnowsIsEmpty() {
        Path path = area();
        Sinks.Empty<Completion> end = Sinks.empty();
        List<UringFile> files = new CopyOnWriteArrayList<>();
        Disk disk = disk(ZERO_COPY, queue -> UringFile.open(queue.loop(), path, StandardOpenOption.READ).flatMapMany(file -> {
            files.add(file);
            return queue.answer(held::hold).mergeWith(end.asMono());
        }));
        CompletableFuture<byte[]> read = disk.read(QUIET, BLOCK);
        fixture.await(() -> held.size() == 1);
        IoBuffer.Fixed known = (IoBuffer.Fixed) held.requests().getFirst().buffer();
        end.tryEmitError(new IllegalStateException("a bug of the target"));
        assertFails(read);
        for (CompletableFuture<byte[]> next : startReads(disk, 64)) assertFails(next);
        UringFile file = files.getFirst();
        IoBuffer late = new IoBuffer.Fixed(known.ring(), known.index(), 0, BLOCK);   // without its owner, who would refuse
        assertThatThrownBy(() -> fixture.get(file.read(late, 0))).isInstanceOf(KernelException.class)
                .satisfies(e -> assertThat(((KernelException) e).errno()).isEqualTo(Errno.EFAULT));
        fixture.get(file.close());
        assertThat(log.takeErrors()).singleElement().asString().contains("a bug of the target");
    }

    // ------------------------------------------------------------------------------------------- places in the table

    @Test
    void whereThePlaceOfATagIsOccupiedItsPagesAreRegisteredLater() {
        Path path = area();
        List<Class<?>> kinds = new CopyOnWriteArrayList<>();
        BlockTarget disk = target(path, (file, request) -> {
            if (request.operation().hasData()) kinds.add(request.buffer().getClass());
            return whole().apply(file, request);
        });
        int depth = 16;
        MemorySegment occupying = memory(depth * BLOCK);
        Disk served = disk(start(server(ZERO_COPY, queue -> {
            Ring ring = queue.loop().ring();
            for (int tag = 0; tag < depth; tag++) ring.updateBuffer(tag, occupying.asSlice((long) tag * BLOCK, BLOCK));
            return disk.serve(queue);
        }).queueDepth(depth)));
        assertServes(served, path);
        assertThat(kinds).isNotEmpty().containsOnly(IoBuffer.Pages.class);
    }

    @Test
    void moreOperationsOnPagesThanTheTableHasPlacesAreRefused() {
        Path pipe = fixture.pipe();
        int depth = 2;
        int places = 8 * depth;
        List<Errno> refusals = new CopyOnWriteArrayList<>();
        Disk disk = disk(start(server(LATE_ZERO_COPY, target(pipe, (file, request) -> {
            List<Mono<?>> operations = new ArrayList<>();
            for (int i = 0; i < places + 1; i++) {
                operations.add(file.read(request.buffer().slice(i, 1), 0).doOnError(KernelException.class, e -> refusals.add(e.errno())));
            }
            return request.fuse(operations);
        })).queueDepth(depth)));
        CompletableFuture<byte[]> read = disk.read(QUIET, BLOCK);
        fixture.await(() -> !refusals.isEmpty());
        writePipe(pipe, filled(places, 1));
        assertThat(failureOf(read)).isEqualTo(Errno.EIO);
        assertThat(refusals).containsExactly(Errno.ENOBUFS);
    }
}
