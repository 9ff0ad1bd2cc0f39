package io.reactorublk;

import io.reactorublk.memory.MemoryUblk;
import org.junit.jupiter.api.Nested;

/** The contracts of a device, on a kernel in memory. */
class DeviceTest {

    private static DeviceFixture memory() {
        return new MemoryDevices(MemoryUblk.create());
    }

    @Nested
    class Operations extends OperationContract {
        @Override
        DeviceFixture newFixture() {
            return memory();
        }
    }

    @Nested
    class Answers extends AnswerContract {
        @Override
        DeviceFixture newFixture() {
            return memory();
        }
    }

    @Nested
    class Demand extends DemandContract {
        @Override
        DeviceFixture newFixture() {
            return memory();
        }
    }

    @Nested
    class LostTargets extends LostTargetContract {
        @Override
        DeviceFixture newFixture() {
            return memory();
        }
    }

    @Nested
    class Stopping extends StopContract {
        @Override
        DeviceFixture newFixture() {
            return memory();
        }
    }

    @Nested
    class Starting extends StartContract {
        @Override
        DeviceFixture newFixture() {
            return memory();
        }
    }
}
