package io.reactorublk;

import io.reactorublk.MemoryDevices.Chance;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.MethodSource;

/** The contracts of a device, on a kernel in memory: in order, and by some seeds. */
class DeviceTest {

    @Nested
    @ParameterizedClass
    @MethodSource("io.reactorublk.MemoryDevices$Chance#all")
    class Operations extends OperationContract {

        @Parameter
        Chance chance;

        @Override
        DeviceFixture newFixture() {
            return chance.devices();
        }
    }

    @Nested
    @ParameterizedClass
    @MethodSource("io.reactorublk.MemoryDevices$Chance#all")
    class Answers extends AnswerContract {

        @Parameter
        Chance chance;

        @Override
        DeviceFixture newFixture() {
            return chance.devices();
        }
    }

    @Nested
    @ParameterizedClass
    @MethodSource("io.reactorublk.MemoryDevices$Chance#all")
    class Demand extends DemandContract {

        @Parameter
        Chance chance;

        @Override
        DeviceFixture newFixture() {
            return chance.devices();
        }
    }

    @Nested
    @ParameterizedClass
    @MethodSource("io.reactorublk.MemoryDevices$Chance#all")
    class LostTargets extends LostTargetContract {

        @Parameter
        Chance chance;

        @Override
        DeviceFixture newFixture() {
            return chance.devices();
        }
    }

    @Nested
    @ParameterizedClass
    @MethodSource("io.reactorublk.MemoryDevices$Chance#all")
    class Stopping extends StopContract {

        @Parameter
        Chance chance;

        @Override
        DeviceFixture newFixture() {
            return chance.devices();
        }
    }

    @Nested
    @ParameterizedClass
    @MethodSource("io.reactorublk.MemoryDevices$Chance#all")
    class Starting extends StartContract {

        @Parameter
        Chance chance;

        @Override
        DeviceFixture newFixture() {
            return chance.devices();
        }
    }

    @Nested
    @ParameterizedClass
    @MethodSource("io.reactorublk.MemoryDevices$Chance#all")
    class Control extends ControlContract {

        @Parameter
        Chance chance;

        @Override
        DeviceFixture newFixture() {
            return chance.devices();
        }
    }

    @Nested
    @ParameterizedClass
    @MethodSource("io.reactorublk.MemoryDevices$Chance#all")
    class Recovering extends RecoveryContract {

        @Parameter
        Chance chance;

        @Override
        DeviceFixture newFixture() {
            return chance.devices();
        }
    }

    @Nested
    @ParameterizedClass
    @MethodSource("io.reactorublk.MemoryDevices$Chance#all")
    class HandingOver extends HandOverContract {

        @Parameter
        Chance chance;

        @Override
        DeviceFixture newFixture() {
            return chance.devices();
        }
    }
}
