package io.reactorublk;

import static io.reactorublk.Operation.WRITE;
import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** What a target can do with a request's bytes itself, in every {@link DataMode}. */
abstract class CopyContract extends DataModeHarness {

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

    /** A request that is shorter than a piece is copied whole. */
    @ParameterizedTest
    @EnumSource
    void bytesAreCopiedInPiecesOfAnySize(DataMode mode) {
        Disk disk = disk(mode, copying(5000));
        byte[] bytes = pattern(MAX_IO, 1);
        write(disk, QUIET + BLOCK, bytes);
        assertThat(read(disk, QUIET + BLOCK, bytes.length)).isEqualTo(bytes);
        write(disk, QUIET + 3 * BLOCK, filled(BLOCK, 7));
        System.arraycopy(filled(BLOCK, 7), 0, bytes, 2 * BLOCK, BLOCK);
        assertThat(read(disk, QUIET + BLOCK, bytes.length)).isEqualTo(bytes);
    }

    @ParameterizedTest
    @EnumSource
    void manyRequestsAreCopiedAtATime(DataMode mode) {
        Disk disk = disk(mode, copying(BLOCK));
        writeBlocks(disk, 32);
        for (int i = 0; i < 32; i++) assertThat(read(disk, place(i), BLOCK)).isEqualTo(filled(BLOCK, i));
    }

    @ParameterizedTest
    @EnumSource
    void aPartOfAReadIsFilledAndTheRestComesAgain(DataMode mode) {
        MemorySegment content = memory(pattern(AREA, 3));
        Disk disk = disk(mode, target(request -> request.fill(0, content.asSlice(place(request), BLOCK))
                .thenReturn(request.complete(BLOCK))));
        assertThat(read(disk, QUIET, 3 * BLOCK)).isEqualTo(bytes(content.asSlice(0, 3 * BLOCK)));
    }
}
