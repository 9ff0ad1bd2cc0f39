package io.reactorublk;

import static java.nio.file.StandardOpenOption.READ;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.reactorublk.memory.MemoryUblk;
import io.reactorublk.target.NullTarget;
import io.reactorublk.uring.CompletionHandler;
import io.reactorublk.uring.IoBuffer;
import io.reactorublk.uring.UringFile;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;

/** What only a kernel in memory can show of how bytes travel. */
class MemoryDataModeTest {

    private static final int LENGTH = 4096;
    private static final int PLACE = 40;

    private final MemoryUblk ublk = MemoryUblk.create().withoutPartitionScan();

    @AfterEach
    void close() {
        ublk.close();
    }

    private UblkServer server(DataMode mode, BlockTarget target) {
        return UblkServer.create().kernel(ublk.kernel()).size(1 << 20).maxIoBytes(LENGTH).queueDepth(8).dataMode(mode).serve(target);
    }

    private UblkDevice start(UblkServer server) {
        return Objects.requireNonNull(ublk.get(server.start()));
    }

    private UblkDevice start(DataMode mode, BlockTarget target) {
        return start(server(mode, target));
    }

    private void stop(UblkDevice device) {
        ublk.get(device.disposeLater());
        ublk.assertNothingIsLeft();
    }

    @ParameterizedTest
    @EnumSource
    void anAnswerWaitsForAnOperationThatCannotBeCancelled(DataMode mode) {
        ublk.kernel().file("/slow", new byte[LENGTH]).latency(Duration.ofMillis(10));
        UblkDevice device = start(mode, queue -> Flux.usingWhen(UringFile.open(queue.loop(), Path.of("/slow"), READ),
                file -> queue.answer(request -> request.transfer(file, 0).timeout(Duration.ofMillis(1), queue.loop())),
                UringFile::close));
        CompletableFuture<byte[]> read = ublk.disk(device).read(0, LENGTH).toFuture();
        ublk.advanceTime(Duration.ofMillis(9));
        assertThat(read).isNotDone();
        ublk.advanceTime(Duration.ofMillis(1));
        assertThat(read).isCompletedExceptionally();
        stop(device);
    }

    /** The application may use its memory for something else as soon as it has the answer. */
    @ParameterizedTest
    @EnumSource
    void theAnswerForALostTargetWaitsForItsOperationInSharedMemory(DataMode mode) {
        ublk.kernel().file("/slow", new byte[LENGTH]).latency(Duration.ofMillis(10));
        Sinks.Empty<Completion> end = Sinks.empty();
        try (SharedMemory memory = SharedMemory.create(ublk.kernel(), Path.of("/dev/shm/shared"), LENGTH)) {
            UblkDevice device = start(server(mode, queue -> Flux.usingWhen(UringFile.open(queue.loop(), Path.of("/slow"), READ),
                    file -> queue.answer(request -> request.transfer(file, 0)).mergeWith(end.asMono()), UringFile::close)).sharedMemory());
            ublk.get(device.share(memory));
            CompletableFuture<Integer> read = ublk.disk(device).read(0, memory.memory()).toFuture();
            ublk.advanceTime(Duration.ofMillis(1));
            end.tryEmitError(new IllegalStateException("a bug of the target"));
            ublk.advanceTime(Duration.ofMillis(8));
            assertThat(read).isNotDone();
            ublk.advanceTime(Duration.ofMillis(1));
            assertThat(read).isCompletedExceptionally();
            stop(device);
        }
    }

    @Test
    void moreRequestsThanOneRingHasRoomForAreRefused() {
        assertRefused(DataMode.LATE_COPY, 9, "36864 requests in flight on one loop: in DataMode.LATE_COPY "
                + "32768 are possible; use more loops, or less depth");
    }

    @Test
    void moreRequestsThanATableHasPlacesForAreRefused() {
        assertRefused(DataMode.ZERO_COPY, 2, "8192 requests in flight on one loop: in DataMode.ZERO_COPY "
                + "8191 are possible; use more loops, or less depth");
    }

    private void assertRefused(DataMode mode, int queues, String why) {
        ublk.cpus(16);
        List<String> commands = new ArrayList<>();
        assertThatThrownBy(() -> start(server(mode, new NullTarget()).queues(queues).loops(1).queueDepth(4096)
                .controlListener((command, deviceId, refusal, nanos) -> commands.add(command))))
                .isInstanceOf(IllegalArgumentException.class).hasMessage(why);
        assertThat(commands).as("what the driver was asked").isEmpty();
        ublk.assertNothingIsLeft();
    }

    @Test
    void pagesThatWereForgottenInATableHoldTheirRequest() {
        Sinks.Empty<Void> remedy = Sinks.empty();
        UblkDevice device = start(DataMode.LATE_ZERO_COPY, queue -> queue.answer(request -> {
            IoBuffer.Pages pages = (IoBuffer.Pages) request.buffer();
            pages.registrar().register(queue.loop().ring().stage(CompletionHandler.IGNORE), PLACE);
            remedy.asMono().publishOn(queue.loop()).subscribe(nothing -> {}, e -> {},
                    () -> pages.registrar().unregister(queue.loop().ring().stage(CompletionHandler.IGNORE), PLACE));
            return request.fill(0, ublk.kernel().allocate(LENGTH, Arena.ofAuto())).then(Mono.delay(Duration.ofMillis(1), queue.loop()))
                    .thenReturn(request.complete());
        }));
        CompletableFuture<byte[]> read = ublk.disk(device).read(0, LENGTH).toFuture();
        ublk.advanceTime(Duration.ofMillis(2));
        assertThat(read).isNotDone();
        assertThatThrownBy(ublk::assertEveryRequestAnswered).isInstanceOf(AssertionError.class)
                .hasMessageContaining("1 requests").hasMessageContaining("table of buffers");
        remedy.tryEmitEmpty();
        ublk.settle();
        assertThat(read).isCompleted();
        ublk.assertEveryRequestAnswered();
        stop(device);
    }
}
