package io.reactorublk.uring;

import io.reactorublk.uring.memory.MemoryKernel;
import org.junit.jupiter.api.Nested;

/** The contracts of a ring, in memory. */
class RingTest {

    @Nested
    class Basics extends RingContract {
        @Override
        World newWorld() {
            return new MemoryWorld(MemoryKernel.create());
        }
    }

    @Nested
    class Chains extends ChainContract {
        @Override
        World newWorld() {
            return new MemoryWorld(MemoryKernel.create());
        }
    }

    @Nested
    class Timeouts extends TimeoutContract {
        @Override
        World newWorld() {
            return new MemoryWorld(MemoryKernel.create());
        }
    }

    @Nested
    class Cancelling extends CancelContract {
        @Override
        World newWorld() {
            return new MemoryWorld(MemoryKernel.create());
        }
    }

    @Nested
    class LentMemory extends BufferRingContract {
        @Override
        World newWorld() {
            return new MemoryWorld(MemoryKernel.create());
        }
    }

    @Nested
    class Registrations extends RegistrationContract {
        @Override
        World newWorld() {
            return new MemoryWorld(MemoryKernel.create());
        }
    }
}
