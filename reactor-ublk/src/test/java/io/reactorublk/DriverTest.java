package io.reactorublk;

import io.reactorublk.MemoryDevices.Chance;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.MethodSource;

/** The contracts of the driver, on the one in memory: in order, and by some seeds. */
class DriverTest {

    @Nested
    @ParameterizedClass
    @MethodSource("io.reactorublk.MemoryDevices$Chance#all")
    class Preparing extends DriverPrepareContract {

        @Parameter
        Chance chance;

        @Override
        DriverFixture newFixture() {
            return new MemoryDriver(chance.ublk());
        }
    }

    @Nested
    @ParameterizedClass
    @MethodSource("io.reactorublk.MemoryDevices$Chance#all")
    class Committing extends DriverCommitContract {

        @Parameter
        Chance chance;

        @Override
        DriverFixture newFixture() {
            return new MemoryDriver(chance.ublk());
        }
    }

    @Nested
    @ParameterizedClass
    @MethodSource("io.reactorublk.MemoryDevices$Chance#all")
    class Fetching extends DriverFetchContract {

        @Parameter
        Chance chance;

        @Override
        DriverFixture newFixture() {
            return new MemoryDriver(chance.ublk());
        }
    }

    @Nested
    @ParameterizedClass
    @MethodSource("io.reactorublk.MemoryDevices$Chance#all")
    class Controlling extends DriverControlContract {

        @Parameter
        Chance chance;

        @Override
        DriverFixture newFixture() {
            return new MemoryDriver(chance.ublk());
        }
    }

    @Nested
    @ParameterizedClass
    @MethodSource("io.reactorublk.MemoryDevices$Chance#all")
    class Ending extends DriverEndContract {

        @Parameter
        Chance chance;

        @Override
        DriverFixture newFixture() {
            return new MemoryDriver(chance.ublk());
        }
    }

    @Nested
    @ParameterizedClass
    @MethodSource("io.reactorublk.MemoryDevices$Chance#all")
    class Buffering extends DriverBufferContract {

        @Parameter
        Chance chance;

        @Override
        DriverFixture newFixture() {
            return new MemoryDriver(chance.ublk());
        }
    }

    @Nested
    @ParameterizedClass
    @MethodSource("io.reactorublk.MemoryDevices$Chance#all")
    class SharingMemory extends DriverSharedMemoryContract {

        @Parameter
        Chance chance;

        @Override
        DriverFixture newFixture() {
            return new MemoryDriver(chance.ublk());
        }
    }
}
