package io.reactorublk;

import org.junit.jupiter.api.Nested;

/** How bytes travel, on a real kernel. What is decided before it is asked {@link DataModeTest} shows. */
class DataModeContractVmIT {

    @Nested
    class Copying extends CopyContract {
        @Override
        DeviceFixture newFixture() {
            return new LinuxDevices();
        }
    }

    @Nested
    class Transferring extends TransferContract {
        @Override
        DeviceFixture newFixture() {
            return new LinuxDevices();
        }
    }

    @Nested
    class AnsweringTruly extends TrueAnswerContract {
        @Override
        DeviceFixture newFixture() {
            return new LinuxDevices();
        }
    }
}
