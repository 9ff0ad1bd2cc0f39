package io.reactorublk;

import org.junit.jupiter.api.Nested;

/** The contracts of the driver, on that of a real kernel. */
class DriverVmIT {

    @Nested
    class Preparing extends DriverPrepareContract {
        @Override
        DriverFixture newFixture() {
            return new LinuxDriver();
        }
    }

    @Nested
    class Committing extends DriverCommitContract {
        @Override
        DriverFixture newFixture() {
            return new LinuxDriver();
        }
    }

    @Nested
    class Fetching extends DriverFetchContract {
        @Override
        DriverFixture newFixture() {
            return new LinuxDriver();
        }
    }

    @Nested
    class Controlling extends DriverControlContract {
        @Override
        DriverFixture newFixture() {
            return new LinuxDriver();
        }
    }

    @Nested
    class Ending extends DriverEndContract {
        @Override
        DriverFixture newFixture() {
            return new LinuxDriver();
        }
    }

    @Nested
    class Buffering extends DriverBufferContract {
        @Override
        DriverFixture newFixture() {
            return new LinuxDriver();
        }
    }

    @Nested
    class SharingMemory extends DriverSharedMemoryContract {
        @Override
        DriverFixture newFixture() {
            return new LinuxDriver();
        }
    }
}
