package io.reactorublk.uring;

import org.junit.jupiter.api.Nested;

/** The contracts of a ring, on this machine's kernel. */
class RingLinuxIT {

    @Nested
    class Basics extends RingContract {
        @Override
        World newWorld() {
            return new LinuxWorld();
        }
    }

    @Nested
    class Chains extends ChainContract {
        @Override
        World newWorld() {
            return new LinuxWorld();
        }
    }

    @Nested
    class Timeouts extends TimeoutContract {
        @Override
        World newWorld() {
            return new LinuxWorld();
        }
    }

    @Nested
    class Cancelling extends CancelContract {
        @Override
        World newWorld() {
            return new LinuxWorld();
        }
    }

    @Nested
    class LentMemory extends BufferRingContract {
        @Override
        World newWorld() {
            return new LinuxWorld();
        }
    }

    @Nested
    class Registrations extends RegistrationContract {
        @Override
        World newWorld() {
            return new LinuxWorld();
        }
    }
}
