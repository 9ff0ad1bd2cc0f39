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
import reactor.core.publisher.Mono;

/** What a request says to copies of its bytes before the kernel is asked, in every {@link DataMode}; so in memory only. */
abstract class CopyRuleContract extends DataModeHarness {

    private final HeldRequests held = new HeldRequests();
    private CompletableFuture<?> pending;

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
