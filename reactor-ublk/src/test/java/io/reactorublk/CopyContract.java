package io.reactorublk;

import static io.reactorublk.Operation.READ;
import static io.reactorublk.Operation.WRITE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.reactorublk.uring.Errno;
import io.reactorublk.uring.IoBuffer;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.EnumSource.Mode;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** What a target can do with a request's bytes itself, in every {@link DataMode}. */
abstract class CopyContract extends DataModeHarness {

    private final HeldRequests held = new HeldRequests();
    private CompletableFuture<?> pending;

    /** A disk in memory, by copies of so many bytes at a time, all of them at once. */
    private BlockTarget copying(int piece) {
        MemorySegment content = memory(AREA);
        return target(request -> {
            int length = (int) request.length();
            Mono<Void> copied = !request.operation().hasData() ? Mono.empty() : Flux.range(0, (length + piece - 1) / piece).flatMap(i -> {
                int from = i * piece;
                MemorySegment part = content.asSlice(place(request) + from, Math.min(piece, length - from));
                return request.operation() == WRITE ? request.look(from, part) : request.fill(from, part);
            }).then();
            return copied.thenReturn(request.complete());
        });
    }

    private void assertCopies(DataMode mode, int piece) {
        Disk disk = disk(mode, copying(piece));
        byte[] bytes = pattern(MAX_IO, 1);
        write(disk, QUIET + BLOCK, bytes);
        assertThat(read(disk, QUIET + BLOCK, bytes.length)).isEqualTo(bytes);
        write(disk, QUIET + 3 * BLOCK, filled(BLOCK, 7));
        System.arraycopy(filled(BLOCK, 7), 0, bytes, 2 * BLOCK, BLOCK);
        assertThat(read(disk, QUIET + BLOCK, bytes.length)).isEqualTo(bytes);
    }

    @ParameterizedTest
    @EnumSource
    void bytesAreCopiedWhole(DataMode mode) {
        assertCopies(mode, MAX_IO);
    }

    @ParameterizedTest
    @EnumSource
    void bytesAreCopiedInPiecesOfAnySize(DataMode mode) {
        assertCopies(mode, 5000);
    }

    @ParameterizedTest
    @EnumSource
    void manyRequestsAreCopiedAtATime(DataMode mode) {
        Disk disk = disk(mode, copying(BLOCK));
        writeBlocks(disk, 32);
        for (int i = 0; i < 32; i++) assertThat(read(disk, place(i), BLOCK)).isEqualTo(filled(BLOCK, i));
    }

    /** A request of the test's own, that waits for its answer. */
    private BlockRequest held(DataMode mode, Operation operation) {
        Disk disk = disk(mode, target(held::hold));
        pending = operation == READ ? disk.read(QUIET, 2 * BLOCK) : disk.write(QUIET, filled(2 * BLOCK, 1));
        fixture.await(() -> held.size() == 1);
        return held.requests().getFirst();
    }

    private void answer() {
        held.answer(request -> request.fail(Errno.EIO));
        assertThat(failureOf(pending)).isEqualTo(Errno.EIO);
    }

    @ParameterizedTest
    @EnumSource
    void onlyAWriteIsLookedAt(DataMode mode) {
        BlockRequest request = held(mode, READ);
        assertThatThrownBy(() -> fixture.get(request.look(0, memory(BLOCK)))).isInstanceOf(UnsupportedOperationException.class)
                .hasMessageContaining("READ");
        answer();
    }

    @ParameterizedTest
    @EnumSource
    void onlyAReadIsFilled(DataMode mode) {
        BlockRequest request = held(mode, WRITE);
        assertThatThrownBy(() -> fixture.get(request.fill(0, memory(BLOCK)))).isInstanceOf(UnsupportedOperationException.class)
                .hasMessageContaining("WRITE");
        answer();
    }

    @ParameterizedTest
    @EnumSource
    void nothingBeyondARequestIsCopied(DataMode mode) {
        BlockRequest request = held(mode, WRITE);
        MemorySegment memory = memory(BLOCK + 1);
        assertThatThrownBy(() -> fixture.get(request.look(BLOCK, memory))).isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> fixture.get(request.look(-1, memory))).isInstanceOf(IndexOutOfBoundsException.class);
        fixture.get(request.look(BLOCK - 1, memory));
        assertThat(bytes(memory)).isEqualTo(filled(BLOCK + 1, 1));
        answer();
    }

    @ParameterizedTest
    @EnumSource
    void anAnsweredWriteIsNotLookedAt(DataMode mode) {
        BlockRequest request = held(mode, WRITE);
        answer();
        assertThatThrownBy(() -> fixture.get(request.look(0, memory(BLOCK)))).isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("has been answered");
    }

    @ParameterizedTest
    @EnumSource
    void anAnsweredReadIsNotFilled(DataMode mode) {
        BlockRequest request = held(mode, READ);
        answer();
        assertThatThrownBy(() -> fixture.get(request.fill(0, memory(BLOCK)))).isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("has been answered");
    }

    @ParameterizedTest
    @EnumSource
    void anAnswerDuringACopyWaitsForIt(DataMode mode) {
        MemorySegment content = memory(filled(BLOCK, 9));
        Disk disk = disk(mode, target(request -> {
            request.fill(0, content).subscribe();
            return Mono.just(request.complete());
        }));
        assertThat(read(disk, QUIET, BLOCK)).isEqualTo(filled(BLOCK, 9));
    }

    @ParameterizedTest
    @EnumSource
    void aPartOfAReadIsFilledAndTheRestComesAgain(DataMode mode) {
        MemorySegment content = memory(pattern(AREA, 3));
        Disk disk = disk(mode, target(request -> request.fill(0, content.asSlice(place(request), BLOCK))
                .thenReturn(request.complete(BLOCK))));
        assertThat(read(disk, QUIET, 3 * BLOCK)).isEqualTo(bytes(content.asSlice(0, 3 * BLOCK)));
    }

    @ParameterizedTest
    @EnumSource(names = {"COPY", "USER_COPY"})
    void someBytesAreInThisProcess(DataMode mode) {
        BlockRequest request = held(mode, WRITE);
        assertThat(request.isVisible()).isTrue();
        assertThat(bytes(request.data())).isEqualTo(filled(2 * BLOCK, 1));
        answer();
    }

    @ParameterizedTest
    @EnumSource(names = {"COPY", "USER_COPY"}, mode = Mode.EXCLUDE)
    void othersAreNot(DataMode mode) {
        BlockRequest request = held(mode, WRITE);
        assertThat(request.isVisible()).isFalse();
        assertThatThrownBy(request::data).isInstanceOf(UnsupportedOperationException.class).hasMessageContaining("look()");
        answer();
    }

    @ParameterizedTest
    @EnumSource(names = "LATE_COPY")
    void whatIsCopiedLateHasNoBuffer(DataMode mode) {
        BlockRequest request = held(mode, WRITE);
        assertThatThrownBy(request::buffer).isInstanceOf(UnsupportedOperationException.class).hasMessageContaining("look()");
        assertThatThrownBy(() -> request.buffer(elsewhere())).isInstanceOf(UnsupportedOperationException.class);
        answer();
    }

    @ParameterizedTest
    @EnumSource
    void aFlushHasNoBytesInAnyMode(DataMode mode) {
        Disk disk = disk(mode, queue -> queue.answer(request -> {
            if (request.operation() != Operation.FLUSH) return Mono.just(request.complete());
            assertThatThrownBy(request::buffer).isInstanceOf(UnsupportedOperationException.class).hasMessageContaining("carries no data");
            return request.look(0, memory(BLOCK)).thenReturn(request.complete())
                    .onErrorReturn(UnsupportedOperationException.class, request.fail(Errno.EIO));
        }));
        write(disk, QUIET, filled(BLOCK, 1));
        assertThat(failureOf(disk.flush())).isEqualTo(Errno.EIO);
    }

    @ParameterizedTest
    @EnumSource(names = {"ZERO_COPY", "LATE_ZERO_COPY"})
    void theKindOfBufferSaysWhereTheBytesAre(DataMode mode) {
        BlockRequest request = held(mode, WRITE);
        assertThat(request.buffer()).isInstanceOf(mode == DataMode.ZERO_COPY ? IoBuffer.Fixed.class : IoBuffer.Pages.class);
        assertThat(request.buffer().length()).isEqualTo(2 * BLOCK);
        answer();
    }
}
