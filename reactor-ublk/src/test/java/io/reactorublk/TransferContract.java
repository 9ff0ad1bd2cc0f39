package io.reactorublk;

import static io.reactorublk.DataMode.ZERO_COPY;
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
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;

/** Bytes of requests to and from files, in every {@link DataMode}: one operation, several at once, and what goes wrong. */
abstract class TransferContract extends DataModeHarness {

    private final HeldRequests held = new HeldRequests();

    private static Mono<Completion> whole(UringFile file, BlockRequest request) {
        return request.operation().hasData()
                ? request.transfer(file, place(request)) : file.dataSync().thenReturn(request.complete());
    }

    @ParameterizedTest
    @EnumSource
    void aRequestIsTransferredWhole(DataMode mode) {
        Path path = area();
        assertServes(disk(mode, target(path, TransferContract::whole)), path);
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

    // ------------------------------------------------------------------------------------------- ends that come early

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

    /** As a target that forgets to unregister pages would; the end of the ring lets go of them. */
    @ParameterizedTest
    @EnumSource(names = {"ZERO_COPY", "LATE_ZERO_COPY"})
    void anOperationThatNeverEndsIsNamedAndKeepsNoDevice(DataMode mode) {
        Path pipe = fixture.pipe();
        AtomicBoolean answered = new AtomicBoolean();
        Duration deadline = Duration.ofSeconds(3);                     // it is for the start, too
        UblkDevice device = start(server(mode, target(pipe, (file, request) -> {
            request.transfer(file, 0).subscribe(nothing -> {}, cancelledWithTheLoop -> {});
            answered.set(true);
            return Mono.just(request.complete());
        })).stopGrace(Duration.ofMillis(100)).controlDeadline(deadline));
        Disk disk = disk(device);
        CompletableFuture<byte[]> read = disk.read(QUIET, BLOCK);
        fixture.await(answered::get);
        fixture.settle();
        assertThat(read).as("answered, but its pages are in use").isNotDone();
        CompletableFuture<Void> ended = device.disposeLater().toFuture();
        fixture.elapse(deadline.plusSeconds(1));
        fixture.await(ended::isDone);
        assertFails(read);
        assertThat(log.warnings()).anySatisfy(warning -> assertThat(warning).contains("does not stop")
                .contains("(tag ").contains("is answered, but operations on its bytes have not ended"));
        disk.close();
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
            return whole(file, request);
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
}
