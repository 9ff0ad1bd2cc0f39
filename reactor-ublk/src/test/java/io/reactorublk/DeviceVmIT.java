package io.reactorublk;

import org.junit.jupiter.api.Nested;

/** The contracts of a device, on a real kernel. */
class DeviceVmIT {

    @Nested
    class Operations extends OperationContract {
        @Override
        DeviceFixture newFixture() {
            return new LinuxDevices();
        }
    }

    @Nested
    class Answers extends AnswerContract {
        @Override
        DeviceFixture newFixture() {
            return new LinuxDevices();
        }
    }

    @Nested
    class Demand extends DemandContract {
        @Override
        DeviceFixture newFixture() {
            return new LinuxDevices();
        }
    }

    @Nested
    class LostTargets extends LostTargetContract {
        @Override
        DeviceFixture newFixture() {
            return new LinuxDevices();
        }
    }

    @Nested
    class Stopping extends StopContract {
        @Override
        DeviceFixture newFixture() {
            return new LinuxDevices();
        }
    }

    @Nested
    class Starting extends StartContract {
        @Override
        DeviceFixture newFixture() {
            return new LinuxDevices();
        }
    }

    @Nested
    class Control extends ControlContract {
        @Override
        DeviceFixture newFixture() {
            return new LinuxDevices();
        }
    }

    @Nested
    class Recovering extends RecoveryContract {
        @Override
        DeviceFixture newFixture() {
            return new LinuxDevices();
        }
    }

    @Nested
    class HandingOver extends HandOverContract {
        @Override
        DeviceFixture newFixture() {
            return new LinuxDevices();
        }
    }
}
