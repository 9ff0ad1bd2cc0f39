package io.reactorublk.samples.mirror;

import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.uring.Errno;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import org.junit.jupiter.api.Test;

/** What fails, and what is left then. */
class MirrorFailureVmIT extends MirrorDeviceTest {

    /** With a replica that is slow: long enough for the other one on any machine. */
    private static final Duration PATIENCE = Duration.ofSeconds(4);

    @Test
    void aReplicaThatFailsUnderLoadLosesNothingAndStaysStale() throws IOException, InterruptedException {
        ServedMirror mirror = create(2, 1, TWO_QUEUES);
        faults.fail(1, Errno.EIO, 100);
        fioVerify(mirror, 2, 16);
        assertThat(traffic.failures()).as("nobody noticed").isZero();
        assertThat(mirror.set().live()).isEqualTo(0b01);
        assertThat(assemble().header().live()).as("on the disk, without a clean end").isEqualTo(0b01);
        stop(mirror);

        faults.heal(1);
        long[] stale = dataOf(1);
        ServedMirror again = start(TWO_QUEUES);
        assertThat(again.set().live()).isEqualTo(0b01);
        fioVerify(again, 1, 16);
        assertThat(read(again)).isEmpty();
        stop(again);
        assertThat(dataOf(1)).as("never touched again").isEqualTo(stale);
    }

    @Test
    void replicasMayFailOneAfterAnotherUntilOneIsLeft() throws IOException, InterruptedException {
        ServedMirror mirror = create(4, 1, TWO_QUEUES);
        faults.fail(0, Errno.EIO, 50);
        faults.fail(3, Errno.EIO, 52);
        faults.fail(1, Errno.ENOSPC, 54);
        fioVerify(mirror, 2, 16);

        assertThat(traffic.failures()).isZero();
        assertThat(mirror.set().live()).isEqualTo(0b0100);
        stop(mirror);
        assertThat(assemble().header().live()).isEqualTo(0b0100);
    }

    @Test
    void aReplicaThatFailsToReadLeavesAndAnotherAnswers() throws InterruptedException {
        ServedMirror mirror = create(2, 1, TWO_QUEUES);
        fioVerify(mirror, 1, 16);
        faults.fail(0, Errno.EIO, 0);

        assertThat(read(mirror)).isEmpty();
        assertThat(mirror.set().live()).isEqualTo(0b10);
        assertThat(traffic.failures()).isZero();
    }

    @Test
    void aSlowReplicaLeaves() throws InterruptedException {
        ServedMirror mirror = create(2, 1, new ServedMirror.Settings(1, 16, PATIENCE, false));
        faults.delay(1, Duration.ofMinutes(10));

        assertThat(write(mirror, 1)).isEmpty();
        assertThat(mirror.set().live()).isEqualTo(0b01);
        assertThat(assemble().header().live()).isEqualTo(0b01);
    }

    @Test
    void aReplicaThatIsSlowToReadLeavesAndItsReadIsWaitedFor() throws InterruptedException {
        ServedMirror mirror = create(2, 1, new ServedMirror.Settings(1, 16, PATIENCE, false));
        faults.delay(1, PATIENCE.multipliedBy(2));

        assertThat(read(mirror)).isEmpty();
        assertThat(mirror.set().live()).isEqualTo(0b01);
        assertThat(traffic.failures()).isZero();
    }

    @Test
    void whenAllFailWritesAndReadsGetErrors() throws InterruptedException {
        ServedMirror mirror = create(2, 1, TWO_QUEUES);
        faults.fail(0, Errno.EIO, 0);
        faults.fail(1, Errno.EIO, 0);

        assertThat(write(mirror, 1)).contains("Input/output error");
        assertThat(read(mirror)).contains("Input/output error");
        faults.heal(0);
        faults.heal(1);
        assertThat(write(mirror, 1)).as("for good").contains("Input/output error");
        assertThat(read(mirror)).as("the last one is read").isEmpty();
        stop(mirror);
        assertThat(assemble().wasOpen()).as("the replicas may differ").isTrue();
    }

    @Test
    void belowTheQuorumWritesGetErrorsAndReadsGoOn() throws InterruptedException {
        ServedMirror mirror = create(2, 2, TWO_QUEUES);
        fioVerify(mirror, 1, 16);
        faults.fail(1, Errno.EIO, 0);

        assertThat(write(mirror, 1)).contains("Input/output error");
        faults.heal(1);
        assertThat(write(mirror, 1)).as("for good").contains("Input/output error");
        assertThat(read(mirror)).isEmpty();
        assertThat(mirror.set().live()).isEqualTo(0b01);
    }

    @Test
    void aReplicaWhoseDiskIsFullLeaves() throws IOException, InterruptedException {
        Path small = Files.createDirectory(folder.resolve("small"));
        Tool.run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small.toString());
        try {
            paths = new ArrayList<>();
            paths.add(folder.resolve("large"));
            paths.add(small.resolve("replica"));
            ReplicaFile.create(paths, SIZE, 1, false);
            ServedMirror mirror = start(TWO_QUEUES);
            fioVerify(mirror, 2, 16);

            assertThat(traffic.failures()).isZero();
            assertThat(mirror.set().live()).isEqualTo(0b01);
        } finally {
            stopAll();
            Tool.run("umount", small.toString());
        }
    }
}
