package io.reactorublk.uring;

import io.reactorublk.uring.MemoryWorld.Chance;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.MethodSource;

/** The contracts of a ring, in memory: in order, and by some seeds. */
class RingTest {

    @Nested
    @ParameterizedClass
    @MethodSource("io.reactorublk.uring.MemoryWorld$Chance#all")
    class Basics extends RingContract {

        @Parameter
        Chance chance;

        @Override
        World newWorld() {
            return chance.world();
        }
    }

    @Nested
    @ParameterizedClass
    @MethodSource("io.reactorublk.uring.MemoryWorld$Chance#all")
    class Chains extends ChainContract {

        @Parameter
        Chance chance;

        @Override
        World newWorld() {
            return chance.world();
        }
    }

    @Nested
    @ParameterizedClass
    @MethodSource("io.reactorublk.uring.MemoryWorld$Chance#all")
    class Timeouts extends TimeoutContract {

        @Parameter
        Chance chance;

        @Override
        World newWorld() {
            return chance.world();
        }
    }

    @Nested
    @ParameterizedClass
    @MethodSource("io.reactorublk.uring.MemoryWorld$Chance#all")
    class Cancelling extends CancelContract {

        @Parameter
        Chance chance;

        @Override
        World newWorld() {
            return chance.world();
        }
    }

    @Nested
    @ParameterizedClass
    @MethodSource("io.reactorublk.uring.MemoryWorld$Chance#all")
    class LentMemory extends BufferRingContract {

        @Parameter
        Chance chance;

        @Override
        World newWorld() {
            return chance.world();
        }
    }

    @Nested
    @ParameterizedClass
    @MethodSource("io.reactorublk.uring.MemoryWorld$Chance#all")
    class Registrations extends RegistrationContract {

        @Parameter
        Chance chance;

        @Override
        World newWorld() {
            return chance.world();
        }
    }
}
