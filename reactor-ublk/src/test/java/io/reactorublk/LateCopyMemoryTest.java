package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.uring.memory.MemoryKernel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A request of a megabyte in sixteen parts must not take sixteen megabytes. */
class LateCopyMemoryTest {

    private final DataBuffers buffers = new CharDeviceBuffers(DataMode.LATE_COPY, MemoryKernel.create(), 64, 1 << 20, Arena.global());

    @ParameterizedTest
    @CsvSource({"1, 4096", "512, 4096", "4096, 4096", "4097, 8192", "65536, 65536", "1048576, 1048576", "33554432, 33554432"})
    void aPartTakesWhatItNeeds(int length, long bytes) {
        assertThat(buffers.takeMemory(length).byteSize()).isEqualTo(bytes);
    }

    @Test
    void whatWasGivenBackIsTakenAgain() {
        MemorySegment first = buffers.takeMemory(5000);
        buffers.giveMemory(first);
        assertThat(buffers.takeMemory(8192)).isSameAs(first);
        assertThat(buffers.takeMemory(8192)).isNotSameAs(first);
    }
}
