package io.reactorublk.uring;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;

/** The contracts of a file, on this machine's kernel. */
public class FileLinuxIT {

    /** Names a folder for the files of the tests, on a file system that somebody has chosen. */
    public static final String WORLDS = LinuxWorld.WORLDS;

    @Nested
    class Opening extends FileOpenContract {
        @Override
        World newWorld() {
            return new LinuxWorld();
        }
    }

    @Nested
    class ReadingAndWriting extends FileContract {
        @Override
        World newWorld() {
            return new LinuxWorld();
        }
    }

    @Nested
    class Sharing extends SharedFileContract {
        @Override
        World newWorld() {
            return new LinuxWorld();
        }
    }

    @Nested
    class Space extends FileSpaceContract {
        @Override
        World newWorld() {
            return new LinuxWorld();
        }
    }

    @Nested
    class Cancelling extends FileCancelContract {
        @Override
        World newWorld() {
            return new LinuxWorld();
        }
    }

    @Nested
    class Closing extends FileCloseContract {
        @Override
        World newWorld() {
            return new LinuxWorld();
        }
    }

    @Nested
    class Owning extends FileOwnerContract {
        @Override
        World newWorld() {
            return new LinuxWorld();
        }
    }

    @Nested
    class Queueing extends FileRoomContract {
        @Override
        World newWorld() {
            return new LinuxWorld();
        }
    }

    @Nested
    class BlockDevices extends FileHarness {

        @Override
        World newWorld() {
            return new LinuxWorld();
        }

        @Test
        void aBlockDeviceIsRecognized() throws IOException {
            Optional<Path> device;
            try (Stream<Path> disks = Files.list(Path.of("/sys/block"))) {
                device = disks.map(disk -> Path.of("/dev").resolve(disk.getFileName()))
                        .filter(Files::isReadable).findFirst();
            }
            assumeTrue(device.isPresent(), "no block device that this user may read");
            FileStatus status = world.get(open(device.orElseThrow()).status());
            assertThat(status.isBlockDevice()).isTrue();
            assertThat(status.isRegularFile()).isFalse();
        }
    }
}
