package io.reactorublk.samples.mirror;

import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.DataMode;
import java.io.IOException;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** What is written is what is read, and all replicas are the same. */
class MirrorFioVmIT extends MirrorDeviceTest {

    private static final int LEAST_DEPTH = 2;

    @ParameterizedTest
    @CsvSource({"1, 1", "1, 16", "1, 128", "2, 1", "2, 16", "2, 128"})
    void verifiesWhatItWrote(int queues, int depth) throws IOException, InterruptedException {
        int deviceDepth = Math.max(LEAST_DEPTH, depth);
        ServedMirror mirror = create(2, 1, new ServedMirror.Settings(queues, deviceDepth, Duration.ofSeconds(60), false));
        fioVerify(mirror, queues, depth);
        stop(mirror);

        assertThat(traffic.failures()).isZero();
        assertEqual(0, 1);
        assertThat(assemble().wasOpen()).isFalse();
    }

    @Test
    void verifiesWhatItWrotePastThePageCache() throws IOException, InterruptedException {
        ServedMirror mirror = create(3, 2, new ServedMirror.Settings(1, 16, Duration.ofSeconds(60), true));
        fioVerify(mirror, 1, 16);
        stop(mirror);
        assertEqual(0, 1, 2);
    }

    @ParameterizedTest
    @EnumSource
    void verifiesWhatItWroteHoweverTheBytesTravel(DataMode mode) throws IOException, InterruptedException {
        makeReplicas(2, 1);
        for (int queues = 1; queues <= 2; queues++) {
            ServedMirror.Settings settings = new ServedMirror.Settings(queues, 16, Duration.ofSeconds(60), false);
            ServedMirror mirror = start(settings, server -> server.dataMode(mode));
            fioVerify(mirror, queues, 16);
            stop(mirror);

            assertThat(traffic.failures()).isZero();
            assertEqual(0, 1);
        }
    }

    /** Without an order of overlapping writes this leaves replicas that differ, now and then. */
    @Test
    void overlappingWritesOfTwoQueuesLeaveEqualReplicas() throws IOException, InterruptedException {
        ServedMirror mirror = create(3, 1, TWO_QUEUES);
        Tool.run("fio", "--name=overlap", "--filename=" + mirror.device().path(), "--rw=randwrite",
                "--bsrange=4k-64k", "--size=256k", "--io_size=1m", "--numjobs=4", "--iodepth=8",
                "--ioengine=libaio", "--direct=1", "--thread", "--norandommap", "--refill_buffers", "--randrepeat=0",
                "--cpus_allowed=0-1", "--cpus_allowed_policy=split", "--minimal");
        stop(mirror);

        assertThat(traffic.failures()).isZero();
        assertEqual(0, 1, 2);
    }

    @Test
    void discardedAndZeroedRangesReadAsZeroesOnAllReplicas() throws IOException, InterruptedException {
        ServedMirror mirror = create(2, 1, TWO_QUEUES);
        String device = mirror.device().path().toString();
        Tool.run("dd", "if=/dev/urandom", "of=" + device, "bs=1M", "count=3", "oflag=direct");
        Tool.run("blkdiscard", "-o", "0", "-l", "1M", device);
        Tool.run("blkdiscard", "-z", "-o", "1M", "-l", "1M", device);
        stop(mirror);

        long[] data = dataOf(0);
        assertThat(data[0]).as("as one that was never written").isEqualTo(data[15]);
        assertThat(data[1]).isEqualTo(data[15]);
        assertThat(data[2]).isNotEqualTo(data[15]);
        assertEqual(0, 1);
    }
}
