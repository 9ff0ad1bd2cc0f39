package io.reactorublk.samples.mirror;

import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.WRITE;

import io.reactorublk.uring.EventLoop;
import io.reactorublk.uring.IoBuffer;
import io.reactorublk.uring.Kernel;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.UringFile;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Mono;

/**
 * An assembled set in use: its files, locked; a loop on which their headers are written; and what queues need to serve it.
 * Opened and closed by a thread that may block.
 */
public final class OpenSet implements AutoCloseable {

    private static final Logger LOG = LoggerFactory.getLogger(OpenSet.class);

    /** Of {@code linux/prctl.h}. */
    private static final int PR_SET_IO_FLUSHER = 57;

    private final Assembly assembly;
    private final boolean direct;
    private final Faults faults;
    private final EventLoop loop;
    private final Arena arena = Arena.ofShared();
    private final Deque<Runnable> undo = new ArrayDeque<>();
    private final MirrorSet set;

    /**
     * Opens an assembled set: locks its files, makes them equal if they may differ, and marks them open.
     *
     * @param direct whether the data goes past the page cache
     * @param faults what is to go wrong
     * @throws MirrorException if the files are in use
     */
    static OpenSet open(Assembly assembly, Duration limit, boolean direct, Faults faults) {
        return new OpenSet(assembly, limit, direct, faults);
    }

    private OpenSet(Assembly assembly, Duration limit, boolean direct, Faults faults) {
        this.assembly = assembly;
        this.direct = direct;
        this.faults = faults;
        loop = EventLoop.start("mirror-set");
        undo.push(arena::close);
        undo.push(() -> loop.disposeGracefully().block());
        try {
            declareIoFlusher();
            for (ReplicaFile file : assembly.files()) if (file != null) lock(file.path());
            if (assembly.wasOpen()) equalize();
            set = new MirrorSet(assembly.header(), stores(), loop, limit);
            int failed = assembly.header().live() & ~set.markOpen().blockOptional().orElse(0);
            if (failed != 0) throw new MirrorException("the header of " + MirrorSet.names(failed) + " could not be written");
        } catch (RuntimeException e) {
            release();
            throw e;
        }
    }

    /** As on the loops of queues: a header that waits for memory would hold up the writes that could free it. */
    private void declareIoFlusher() {
        loop.execute(() -> {
            try {
                loop.kernel().prctl(PR_SET_IO_FLUSHER, 1);
            } catch (KernelException e) {
                LOG.warn("{} runs without PR_SET_IO_FLUSHER, which needs CAP_SYS_RESOURCE ({})", loop.name(), e.getMessage());
            }
        });
    }

    /** Who is live. */
    public MirrorSet set() {
        return set;
    }

    /** What serves it. */
    public MirrorTarget target(Duration limit) {
        return new MirrorTarget(set, this::openReplica, limit);
    }

    private Mono<Replica> openReplica(int member, EventLoop queueLoop) {
        ReplicaFile file = assembly.files().get(member);
        if (file == null) throw new IllegalStateException("replica " + member + " is stale");
        return FileReplica.open(queueLoop, file.path(), direct).map(replica -> faults.between(member, replica, queueLoop));
    }

    /** Two programs that serve the same files would destroy them. Linux drops the lock with this process. */
    private void lock(Path path) {
        try {
            FileChannel channel = FileChannel.open(path, READ, WRITE);
            undo.push(() -> close(channel));
            if (channel.tryLock() == null) throw new MirrorException(path + " is in use by another process");
        } catch (OverlappingFileLockException e) {
            throw new MirrorException(path + " is in use by this process already");
        } catch (IOException e) {
            throw new UncheckedIOException("locking " + path, e);
        }
    }

    private static void close(FileChannel channel) {
        try {
            channel.close();
        } catch (IOException e) {
            LOG.warn("closing a replica", e);
        }
    }

    private void equalize() {
        List<Replica> replicas = new ArrayList<>();
        for (ReplicaFile file : assembly.files()) {
            if (file == null) continue;
            Replica replica = FileReplica.open(loop, file.path(), false).blockOptional().orElseThrow();
            undo.push(() -> replica.close().block());                  // not earlier: any close of a file drops its lock
            replicas.add(replica);
        }
        LOG.info("the set was not closed: comparing its {} live replicas", replicas.size());
        long copied = Equalizer.equalize(replicas, assembly.header().dataBytes(), Kernel.linux()).blockOptional().orElseThrow();
        LOG.info("the replicas are equal; {} KiB had to be copied", copied >> 10);
    }

    private List<HeaderStore> stores() {
        List<HeaderStore> stores = new ArrayList<>();
        for (ReplicaFile file : assembly.files()) {
            if (file == null) {
                stores.add(new Nowhere());
            } else {
                UringFile opened = UringFile.open(loop, file.path(), READ, WRITE).blockOptional().orElseThrow();
                undo.push(() -> opened.close().block());
                HeaderStore store = new InFile(opened, loop.kernel().allocate(ReplicaHeader.SLOT_BYTES, arena));
                stores.add(faults.between(file.header().member(), store, loop));
            }
        }
        return stores;
    }

    /**
     * Marks the set as closed, if it is, and gives everything back. The device must be gone: nobody uses the replicas.
     */
    @Override
    public void close() {
        boolean interrupted = Thread.interrupted();                    // why we end; the end itself must not be interrupted
        try {
            if (set.close().blockOptional().orElse(false)) {
                LOG.info("the set is closed, {} live", Integer.bitCount(set.live()));
            } else {
                LOG.warn("the set stays marked as open: the next assembly compares its replicas");
            }
        } finally {
            release();
            if (interrupted) Thread.currentThread().interrupt();
        }
    }

    private void release() {
        for (Runnable task = undo.poll(); task != null; task = undo.poll()) {
            try {
                task.run();
            } catch (RuntimeException e) {
                LOG.warn("closing the set", e);
            }
        }
    }

    /** The header in a file. Who did not end a write has left, so no second one finds the first one's bytes in memory. */
    private record InFile(UringFile file, MemorySegment slot) implements HeaderStore {

        @Override
        public Mono<Void> write(ReplicaHeader header) {
            return Mono.defer(() -> {
                header.encode(slot.asByteBuffer());
                return file.write(IoBuffer.of(slot), header.slotOffset()).flatMap(count -> count == ReplicaHeader.SLOT_BYTES
                        ? file.dataSync() : Mono.error(new IOException("only " + count + " bytes of the header were written")));
            });
        }

        @Override
        public Mono<Void> flush() {
            return file.dataSync();
        }
    }

    /** A member that is not here. */
    private record Nowhere() implements HeaderStore {

        @Override
        public Mono<Void> write(ReplicaHeader header) {
            return Mono.error(new IllegalStateException("replica " + header.member() + " is not here"));
        }

        @Override
        public Mono<Void> flush() {
            return Mono.error(new IllegalStateException("a stale replica cannot be flushed"));
        }
    }
}
