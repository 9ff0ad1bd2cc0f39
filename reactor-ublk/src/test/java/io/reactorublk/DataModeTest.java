package io.reactorublk;

import io.reactorublk.MemoryDevices.Chance;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.MethodSource;

/** How bytes travel, on a kernel in memory: in order, and by some seeds. */
class DataModeTest {

    @Nested
    @ParameterizedClass
    @MethodSource("io.reactorublk.MemoryDevices$Chance#all")
    class Copying extends CopyContract {

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
    class Transferring extends TransferContract {

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
    class RulesOfCopying extends CopyRuleContract {

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
    class RulesOfTransferring extends TransferRuleContract {

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
    class AnsweringTruly extends TrueAnswerContract {

        @Parameter
        Chance chance;

        @Override
        DeviceFixture newFixture() {
            return chance.devices();
        }
    }
}
