package io.reactorublk;

import io.reactorublk.MemoryDevices.Chance;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.MethodSource;

/** Applications that share memory with a server, on a kernel in memory: in order, and by some seeds. */
@ParameterizedClass
@MethodSource("io.reactorublk.MemoryDevices$Chance#all")
class SharedMemoryTest extends SharedMemoryContract {

    @Parameter
    Chance chance;

    @Override
    DeviceFixture newFixture() {
        return chance.devices();
    }
}
