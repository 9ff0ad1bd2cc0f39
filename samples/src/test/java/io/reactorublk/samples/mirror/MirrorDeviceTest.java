package io.reactorublk.samples.mirror;

import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.UblkServer;
import io.reactorublk.uring.Kernel;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.OptionalInt;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.io.TempDir;

/** Mirrors on a real kernel. */
abstract class MirrorDeviceTest {

    static final int SIZE = 16 << 20;
    static final ServedMirror.Settings TWO_QUEUES = new ServedMirror.Settings(2, 16, Duration.ofSeconds(60), false);

    @TempDir
    Path folder;

    final Faults faults = new Faults();
    final Traffic traffic = new Traffic();
    List<Path> paths = List.of();
    private final List<ServedMirror> running = new ArrayList<>();

    @AfterEach
    void stopAll() {
        for (ServedMirror mirror : List.copyOf(running)) stop(mirror);
    }

    ServedMirror create(int members, int quorum, ServedMirror.Settings settings) {
        makeReplicas(members, quorum);
        return start(settings);
    }

    void makeReplicas(int members, int quorum) {
        paths = new ArrayList<>();
        for (int i = 0; i < members; i++) paths.add(folder.resolve("replica-" + i));
        ReplicaFile.create(paths, SIZE, quorum, true);
    }

    /** On a device that differs in something from what the program would serve. */
    ServedMirror start(ServedMirror.Settings settings, UnaryOperator<UblkServer> different) {
        Assembly assembly = assemble();
        UblkServer server = different.apply(UblkServer.create().listener(traffic));
        ServedMirror mirror = Objects.requireNonNull(ServedMirror.serve(Kernel.linux(), server, assembly, settings, faults,
                ReplicaLocks.of(assembly.files())).block());
        running.add(mirror);
        return mirror;
    }

    ServedMirror start(ServedMirror.Settings settings) {
        ServedMirror mirror = ServedMirror.start(UblkServer.create().listener(traffic), assemble(), settings, faults);
        running.add(mirror);
        return mirror;
    }

    void stop(ServedMirror mirror) {
        if (running.remove(mirror)) mirror.close();
    }

    Assembly assemble() {
        return Assembly.of(paths.stream().map(ReplicaFile::read).toList(), OptionalInt.empty(), false);
    }

    long[] dataOf(int member) throws IOException, InterruptedException {
        return Checksums.of(paths.get(member), ReplicaHeader.DATA_OFFSET, SIZE);
    }

    void assertEqual(int... members) throws IOException, InterruptedException {
        for (int member : members) assertThat(dataOf(member)).as("replica %d", member).isEqualTo(dataOf(members[0]));
    }

    /** Writes at random and reads it back, with checksums. Each job has a part of the device. */
    static void fioVerify(ServedMirror mirror, int jobs, int depth) throws InterruptedException {
        Tool.run("fio", "--name=verify", "--filename=" + mirror.device().path(), "--rw=randwrite",
                "--bsrange=4k-32k", "--size=1m", "--offset_increment=2m", "--numjobs=" + jobs, "--iodepth=" + depth,
                "--ioengine=libaio", "--direct=1", "--thread", "--verify=crc32c", "--verify_fatal=1", "--do_verify=1",
                "--group_reporting", "--minimal");
    }

    /** One write of some bytes, past the page cache; what dd says if it fails. */
    static String write(ServedMirror mirror, int blocks) throws InterruptedException {
        try {
            Tool.run("dd", "if=/dev/zero", "of=" + mirror.device().path(), "bs=4096", "count=" + blocks, "oflag=direct");
            return "";
        } catch (Tool.FailedException e) {
            return String.valueOf(e.getMessage());
        }
    }

    static String read(ServedMirror mirror) throws InterruptedException {
        try {
            Tool.run("dd", "if=" + mirror.device().path(), "of=/dev/null", "bs=1M", "iflag=direct");
            return "";
        } catch (Tool.FailedException e) {
            return String.valueOf(e.getMessage());
        }
    }
}
