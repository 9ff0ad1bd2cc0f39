package io.reactorublk.uring;

import io.reactorublk.uring.MemoryWorld.Chance;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.MethodSource;

/** The contracts of a file, in memory: in order, and by some seeds. */
class FileTest {

    @Nested
    @ParameterizedClass
    @MethodSource("io.reactorublk.uring.MemoryWorld$Chance#all")
    class Opening extends FileOpenContract {

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
    class ReadingAndWriting extends FileContract {

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
    class Space extends FileSpaceContract {

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
    class Cancelling extends FileCancelContract {

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
    class Closing extends FileCloseContract {

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
    class Owning extends FileOwnerContract {

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
    class Queueing extends FileRoomContract {

        @Parameter
        Chance chance;

        @Override
        World newWorld() {
            return chance.world();
        }
    }

    @Nested
    class Sharing extends SharedFileContract {
        @Override
        World newWorld() {
            return new Chance(null).world();
        }
    }
}
