package io.reactorublk.samples.mirror;

import io.reactorublk.UblkServer;
import io.reactorublk.uring.Errno;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import java.util.concurrent.atomic.AtomicBoolean;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The whole story: a file system on a mirror, one replica breaks while files are copied, nothing is lost. Everything is
 * checked that could be wrong, and every check that fails is named at the end.
 */
final class Demo {

    private static final Logger LOG = LoggerFactory.getLogger(Demo.class);
    private static final long MAX_COPY_BYTES = 150L << 20;
    private static final int VICTIM = 1;

    private final List<ReplicaFile> replicas;
    private final ServedMirror.Settings settings;
    private final LiveLine line;
    private final Traffic traffic = new Traffic();
    private final Faults faults = new Faults();
    private final List<String> problems = new ArrayList<>();
    private boolean mounted;

    Demo(List<ReplicaFile> replicas, ServedMirror.Settings settings, LiveLine line) {
        this.replicas = replicas;
        this.settings = settings;
        this.line = line;
    }

    /**
     * Tells it.
     *
     * @return what went wrong; nothing, that is
     * @throws InterruptedException if somebody wants it to end; it has cleaned up then
     */
    List<String> run() throws IOException, InterruptedException {
        Path mountPoint = Files.createTempDirectory("mirror-mnt-");
        long size = replicas.getFirst().header().dataBytes();
        FileTree tree = FileTree.of(Path.of(System.getProperty("java.home")), Math.min(MAX_COPY_BYTES, size * 2 / 5));
        long[] seen;
        Assembly assembly = Assembly.of(replicas, OptionalInt.empty(), false);
        try (ServedMirror mirror = ServedMirror.start(UblkServer.create().listener(traffic), assembly, settings, faults)) {
            line.watch(traffic, mirror.set());
            Path device = mirror.device().path();
            line.say("%s: %s on %d replicas, %d queues of depth %d".formatted(device, Bytes.mib(size), replicas.size(),
                    mirror.device().queues(), mirror.device().queueDepth()));
            try {
                copyWithAFailure(mirror, device, mountPoint, tree);
                verifyOnDevice(device, mountPoint, tree);
                line.phase("reading the whole device");
                seen = Checksums.of(device, 0, size);
            } finally {
                unmount(mountPoint);
            }
            check(traffic.failures() == 0, traffic.failures() + " requests of the kernel failed");
        } finally {
            Files.deleteIfExists(mountPoint);
        }
        verifySurvivors(seen);
        verifyRefusal();
        return problems;
    }

    private void copyWithAFailure(ServedMirror mirror, Path device, Path mountPoint, FileTree tree)
            throws IOException, InterruptedException {
        line.phase("mkfs.ext4");
        Tool.run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", device.toString());
        mount(device, mountPoint);
        line.phase("copying");
        line.say("copying %d files, %s, from %s".formatted(tree.files().size(), Bytes.mib(tree.bytes()), tree.root()));
        long breakAt = tree.bytes() / 3;
        AtomicBoolean writingBack = new AtomicBoolean();
        AtomicBoolean broken = new AtomicBoolean();
        tree.copyTo(mountPoint, copied -> {
            if (copied < breakAt || broken.get()) return;
            // By itself the kernel writes when it likes, and there might be no load just now.
            if (writingBack.compareAndSet(false, true)) Tool.start("sync", "-f", mountPoint.toString());
            if (traffic.inFlight() == 0 && copied < 2 * breakAt) return;
            if (!broken.compareAndSet(false, true)) return;            // files are copied by several threads
            faults.fail(VICTIM, Errno.EIO, 0);
            line.say("replica %d breaks: all its I/O fails with EIO from now on; tags in flight: %d".formatted(
                    VICTIM, traffic.inFlight()));
            line.phase("copying, replica 1 broken");
        });
        Tool.run("sync", "-f", mountPoint.toString());
        check(mirror.set().live() == everyoneBut(VICTIM), "replica %d should have left, and no other: live are %s".formatted(
                VICTIM, MirrorSet.names(mirror.set().live())));
    }

    private int everyoneBut(int member) {
        return (1 << replicas.size()) - 1 & ~(1 << member);
    }

    /** Mounting again empties the cache: what is compared comes from the device. */
    private void verifyOnDevice(Path device, Path mountPoint, FileTree tree) throws IOException, InterruptedException {
        line.phase("mounting again");
        unmount(mountPoint);
        long before = traffic.readBytes();
        mount(device, mountPoint);
        line.phase("comparing every file");
        List<String> differences = tree.differencesIn(mountPoint);
        check(differences.isEmpty(), differences.size() + " files are not what was copied: " + String.join(", ", differences));
        long read = traffic.readBytes() - before;
        check(read >= tree.bytes() * 9 / 10, "only " + Bytes.mib(read) + " came from the device");
        line.say("%d files compared with their originals, byte by byte: %s".formatted(
                tree.files().size(), verdict(differences.isEmpty())));
        unmount(mountPoint);
        line.phase("fsck.ext4");
        fsck(device.toString());
    }

    private void fsck(String what) throws InterruptedException {
        try {
            Tool.run("e2fsck", "-f", "-n", what);
            line.say("fsck of " + what + ": clean");
        } catch (Tool.FailedException e) {
            check(false, String.valueOf(e.getMessage()));
        }
    }

    /** The server is gone: these are plain files now. */
    private void verifySurvivors(long[] seen) throws IOException, InterruptedException {
        for (ReplicaFile file : replicas) {
            if (file.header().member() == VICTIM) continue;
            line.phase("comparing replica " + file.header().member());
            long[] there = Checksums.of(file.path(), ReplicaHeader.DATA_OFFSET, file.header().dataBytes());
            String difference = Checksums.firstDifference(seen, there);
            check(difference.isEmpty(), file.path() + " is not what the device was: " + difference);
            line.say("%s, read directly, against the device: %s".formatted(file.path(), verdict(difference.isEmpty())));
            fsck(file.path() + "?offset=" + ReplicaHeader.DATA_OFFSET);
        }
    }

    /** The stale replica is known for what it is, and alone it is refused. */
    private void verifyRefusal() {
        List<ReplicaFile> found = replicas.stream().map(file -> ReplicaFile.read(file.path())).toList();
        Assembly again = Assembly.of(found, OptionalInt.empty(), false);
        int live = again.header().live();
        check(live == everyoneBut(VICTIM), "assembled again, " + MirrorSet.names(live) + " would be live");
        check(!again.wasOpen(), "the set was not closed cleanly");
        again.remarks().forEach(remark -> line.say("assembled again: " + remark));
        try {
            Assembly.of(List.of(found.get(VICTIM)), OptionalInt.empty(), false);
            check(false, "the stale replica alone was accepted");
        } catch (MirrorException e) {
            line.say("the broken one alone is refused: " + e.getMessage());
        }
    }

    private static String verdict(boolean equal) {
        return equal ? "equal" : "DIFFERENT";
    }

    private void check(boolean good, String problem) {
        if (good) return;
        problems.add(problem);
        line.say("WRONG: " + problem);
    }

    private void mount(Path device, Path mountPoint) throws InterruptedException {
        Tool.run("mount", "-t", "ext4", device.toString(), mountPoint.toString());
        mounted = true;
    }

    /** Also on the way out of a failure: a device that is mounted cannot end. */
    private void unmount(Path mountPoint) throws InterruptedException {
        if (!mounted) return;
        mounted = false;
        if (Thread.interrupted()) line.say("interrupted, cleaning up");    // else the umount would be, too
        try {
            Tool.run("umount", mountPoint.toString());
        } catch (Tool.FailedException e) {
            LOG.warn("{}; detaching it", e.getMessage());
            Tool.run("umount", "-l", mountPoint.toString());
        }
    }

    /** For the summary. */
    String summary() {
        return "%s written to the device, %s read from it, %d requests".formatted(
                Bytes.mib(traffic.writtenBytes()), Bytes.mib(traffic.readBytes()), traffic.requests());
    }
}
