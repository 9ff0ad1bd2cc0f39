package io.reactorublk.uring;

import io.reactorublk.uring.MemoryWorld.Chance;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.MethodSource;

/** The contracts of a loop, in memory: in order, and by some seeds. */
class EventLoopTest {

    @Nested
    @ParameterizedClass
    @MethodSource("io.reactorublk.uring.MemoryWorld$Chance#all")
    class Turns extends EventLoopContract {

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
    class Timers extends LoopTimerContract {

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
    class Ends extends LoopEndContract {

        @Parameter
        Chance chance;

        @Override
        World newWorld() {
            return chance.world();
        }
    }
}
