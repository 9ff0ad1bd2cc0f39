package io.reactorublk.samples.mirror;

import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.WRITE;

import io.reactorublk.uring.EventLoop;
import io.reactorublk.uring.IoBuffer;
import io.reactorublk.uring.Kernel;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.RingConfig;
import io.reactorublk.uring.UringFile;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * An assembled set in use: a loop on which its headers are written, and what queues need to serve it. The files must be
 * {@linkplain ReplicaLocks locked}, and stay so until it is closed.
 */
public final class OpenSet {

    private static final Logger LOG = LoggerFactory.getLogger(OpenSet.class);

    /** Of {@code linux/prctl.h}. */
    private static final int PR_SET_IO_FLUSHER = 57;

    private final Assembly assembly;
    private final boolean direct;
    private final Faults faults;
    private final Held held;
    private final MirrorSet set;

    /**
     * Opens an assembled set: makes its files equal if they may differ, and marks them open. Signals on the set's loop; an
     * error when everything has been given back.
     *
     * @param direct whether the data goes past the page cache
     * @param faults what is to go wrong
     */
    static Mono<OpenSet> open(Kernel kernel, Assembly assembly, Duration limit, boolean direct, Faults faults) {
        return Mono.usingWhen(
                Mono.fromSupplier(() -> new Held(EventLoop.start(kernel, "mirror-set", RingConfig.DEFAULT))),
                held -> {
                    declareIoFlusher(held.loop);
                    return equalize(assembly, held)
                            .then(stores(assembly, held, faults))
                            .map(stores -> new MirrorSet(assembly.header(), stores, held.loop, limit))
                            .flatMap(set -> marked(set, assembly).thenReturn(new OpenSet(assembly, direct, faults, held, set)));
                },
                held -> Mono.empty(),
                (held, e) -> held.release(),
                Held::release);
    }

    private OpenSet(Assembly assembly, boolean direct, Faults faults, Held held, MirrorSet set) {
        this.assembly = assembly;
        this.direct = direct;
        this.faults = faults;
        this.held = held;
        this.set = set;
    }

    /** As on the loops of queues: a header that waits for memory would hold up the writes that could free it. */
    private static void declareIoFlusher(EventLoop loop) {
        loop.execute(() -> {
            try {
                loop.kernel().prctl(PR_SET_IO_FLUSHER, 1);
            } catch (KernelException e) {
                LOG.warn("{} runs without PR_SET_IO_FLUSHER, which needs CAP_SYS_RESOURCE ({})", loop.name(), e.getMessage());
            }
        });
    }

    private static Mono<Void> equalize(Assembly assembly, Held held) {
        if (!assembly.wasOpen()) return Mono.empty();
        return Flux.fromStream(() -> assembly.files().stream().filter(Objects::nonNull))
                .concatMap(file -> FileReplica.open(held.loop, file.path(), false)
                        .doOnNext(replica -> held.until(replica.close()))    // not earlier: any close of a file drops its lock
                        .delayUntil(FileReplica::readFromDisk))
                .collectList()
                .doOnNext(replicas -> LOG.info("the set was not closed: comparing its {} live replicas", replicas.size()))
                .flatMap(replicas -> Equalizer.equalize(replicas, assembly.header().dataBytes(), held.loop.kernel()))
                .doOnNext(copied -> LOG.info("the replicas are equal; {} KiB had to be copied", copied >> 10))
                .then();
    }

    private static Mono<List<HeaderStore>> stores(Assembly assembly, Held held, Faults faults) {
        return Flux.range(0, assembly.files().size())
                .concatMap(member -> store(assembly.files().get(member), held)
                        .map(store -> faults.between(member, store, held.loop)))
                .collectList();
    }

    private static Mono<HeaderStore> store(@Nullable ReplicaFile file, Held held) {
        if (file == null) return Mono.just(new Nowhere());
        return UringFile.open(held.loop, file.path(), READ, WRITE)
                .doOnNext(opened -> held.until(opened.close()))
                .map(opened -> new InFile(opened, held.loop.kernel().allocate(ReplicaHeader.SLOT_BYTES, held.arena)));
    }

    private static Mono<Void> marked(MirrorSet set, Assembly assembly) {
        return set.markOpen().flatMap(done -> {
            int failed = assembly.header().live() & ~done;
            if (failed == 0) return Mono.empty();
            return Mono.error(new MirrorException("the header of " + MirrorSet.names(failed) + " could not be written"));
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

    /**
     * Marks the set as closed, if it is, and gives everything back. The device must be gone: nobody uses the replicas.
     */
    public Mono<Void> close() {
        Mono<Void> mark = set.close().doOnNext(clean -> {
            if (clean) {
                LOG.info("the set is closed, {} live", Integer.bitCount(set.live()));
            } else {
                LOG.warn("the set stays marked as open: the next assembly compares its replicas");
            }
        }).then();
        return Flux.concatDelayError(mark, held.release()).then();
    }

    /** Gives everything back, and leaves it marked as open. */
    Mono<Void> abandon() {
        return held.release();
    }

    /** What is to be given back in the end. On the loop, but for the loop itself. */
    private static final class Held {

        final EventLoop loop;
        final Arena arena = Arena.ofShared();
        private final Deque<Mono<Void>> closings = new ArrayDeque<>();

        Held(EventLoop loop) {
            this.loop = loop;
        }

        void until(Mono<Void> closing) {
            closings.push(closing);
        }

        Mono<Void> release() {
            return Flux.defer(() -> Flux.fromIterable(closings))
                    .concatWithValues(loop.disposeGracefully())
                    .concatMap(closing -> closing.onErrorResume(e -> {
                        LOG.warn("closing the set", e);
                        return Mono.empty();
                    }))
                    .then(Mono.fromRunnable(arena::close));
        }
    }

    /** The header in a file. Who did not end a write has left, so no second one finds the first one's bytes in memory. */
    private record InFile(UringFile file, MemorySegment slot) implements HeaderStore {

        @Override
        public Mono<Void> write(ReplicaHeader header) {
            return Mono.defer(() -> {
                header.encode(slot.asByteBuffer());
                return write(IoBuffer.of(slot), header.slotOffset());
            });
        }

        private Mono<Void> write(IoBuffer rest, long offset) {
            return file.write(rest, offset).flatMap(count -> {
                if (count == rest.length()) return file.dataSync();
                if (count == 0) return Mono.error(new IOException("nothing of the header was written"));
                return write(rest.slice(count, rest.length() - count), offset + count);
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
