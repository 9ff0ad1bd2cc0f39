package io.reactorublk.samples.mapped;

import io.reactorublk.uring.Errno;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.UringFile;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.MonoSink;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Scheduler;
import reactor.util.Logger;
import reactor.util.Loggers;

/**
 * Where each extent of a volume is, how it gets there, and when that is durable.
 *
 * <p>What is known already is found by any thread, without waiting, in a cell of eight bytes for each extent:
 *
 * <pre>
 *   63          33      32        31                       0
 *  +--------------+---------+----------------------------+
 *  |    users     | leaving | 0 unknown, 1 none, 2 + physical |
 *  +--------------+---------+----------------------------+
 * </pre>
 *
 * Everything else happens on one thread, which owns the rest of the fields and may block. The rules:
 *
 * <ol>
 * <li>An extent is made zeroes when it is taken, before anybody can read it: nobody sees what its last owner left.
 * <li>Its entry is committed by a flush that began after that, and after that flush has synced the data. So an entry that a
 *     crash leaves never leads to bytes of somebody else.
 * <li>Flushes take turns. Whoever comes while one is under way shares the next one, which covers all that he has seen end.
 * <li>An extent that is given up can be taken again when the commit that says so has ended, and nobody uses it any more.
 * <li>After a flush that failed none succeeds: nobody knows what is on the disks.
 * </ol>
 */
final class ExtentMap implements AutoCloseable {

    /** In place of a physical extent: it has none. */
    static final int UNMAPPED = ExtentStore.NONE;
    /** In place of a physical extent: nobody has looked it up yet. */
    static final int UNKNOWN = -2;
    /** In place of a physical extent: it is being given up. */
    static final int LEAVING = -3;

    private static final Logger LOG = Loggers.getLogger(ExtentMap.class);

    private static final int NONE_CELL = 1;
    private static final int FIRST_CELL = 2;
    private static final long LEAVING_BIT = 1L << 32;
    private static final long USER = 1L << 33;
    private static final int CONCURRENT_HOLES = 16;

    private final ExtentStore store;
    private final int extentBytes;
    private final Scheduler thread;
    private final Scheduler readers;
    private final AtomicLongArray cells;
    /** What no commit covers yet: from logical to physical, or to {@link #UNMAPPED}. Written on the thread, read by all. */
    private final Map<Integer, Integer> changes = new ConcurrentHashMap<>();

    // On the thread, all below.
    private final BitSet free;
    /** What is under way for an extent: it is being taken, or given up. */
    private final Map<Integer, Mono<Void>> busy = new HashMap<>();
    private final Map<Integer, Sinks.Empty<Void>> leaving = new HashMap<>();
    /** Given up, and not yet committed. */
    private List<Integer> dropped = new ArrayList<>();
    /** Given up, and part of the flush that is under way. */
    private List<Integer> releasing = List.of();
    private List<Flush> waiting = new ArrayList<>();
    private boolean flushing;
    private @Nullable Throwable failure;

    /** Who waits for a flush, and the data file as his loop has it open. */
    private record Flush(UringFile file, MonoSink<Void> sink) {}

    /**
     * The map of a volume. Blocks while it reads which extents are free.
     *
     * @param logicalExtents of the volume
     * @param physicalExtents of the data file
     * @param thread one thread, which may block
     * @param readers for look-ups, which block
     * @throws IllegalArgumentException if the data file has become too short
     */
    ExtentMap(ExtentStore store, int logicalExtents, int physicalExtents, int extentBytes, Scheduler thread, Scheduler readers) {
        this.store = store;
        this.extentBytes = extentBytes;
        this.thread = thread;
        this.readers = readers;
        cells = new AtomicLongArray(logicalExtents);
        free = store.used();
        if (free.length() > physicalExtents) {
            throw new IllegalArgumentException("the data file has room for %d extents of %d bytes, and the map has put data into the %dth"
                    .formatted(physicalExtents, extentBytes, free.length()));
        }
        free.flip(0, physicalExtents);
    }

    // ------------------------------------------------------------------------------------------- any thread, at once

    /**
     * Where an extent is; if it is somewhere, it stays there until {@link #unpin}.
     *
     * @return its physical extent, or {@link #UNMAPPED}, {@link #UNKNOWN} or {@link #LEAVING}
     */
    int pin(int logical) {
        for (;;) {
            long cell = cells.get(logical);
            if ((cell & LEAVING_BIT) != 0) return LEAVING;
            if ((int) cell < FIRST_CELL) return (int) cell == NONE_CELL ? UNMAPPED : UNKNOWN;
            if (cells.compareAndSet(logical, cell, cell + USER)) return (int) cell - FIRST_CELL;
        }
    }

    /** Ends what {@link #pin} began. After the last operation there has ended in the kernel. */
    void unpin(int logical) {
        if (isAbandoned(cells.addAndGet(logical, -USER))) thread.schedule(() -> drop(logical));
    }

    private static boolean isAbandoned(long cell) {
        return (cell & LEAVING_BIT) != 0 && cell < USER;
    }

    /** Whether a crash would leave an extent where it is. */
    boolean isDurable(int logical) {
        return !changes.containsKey(logical);
    }

    // ------------------------------------------------------------------------------------------- what takes time

    /** Looks up where an extent is, so that {@link #pin} knows it. */
    Mono<Void> lookUp(int logical) {
        return Mono.<Void>fromRunnable(() -> cells.compareAndSet(logical, 0, FIRST_CELL + store.lookUp(logical))).subscribeOn(readers);
    }

    /** Waits for an extent that is {@link #LEAVING}. */
    Mono<Void> left(int logical) {
        return onThread(() -> busy.getOrDefault(logical, Mono.empty()));
    }

    /**
     * Gives an {@link #UNMAPPED} extent a place, all zeroes; once, however many ask. Fails with ENOSPC if none is free.
     *
     * @param file the data file, on the loop of whoever asks
     */
    Mono<Void> take(int logical, UringFile file) {
        return onThread(() -> {
            Mono<Void> before = busy.get(logical);
            if (before != null) return before;
            if (cells.get(logical) != NONE_CELL) return Mono.empty();
            int physical = free.nextSetBit(0);
            if (physical >= 0) return take(logical, physical, file);
            boolean someAreLeaving = !dropped.isEmpty() || !releasing.isEmpty();
            return someAreLeaving ? flush(file).then(take(logical, file)) : Mono.error(full(file));
        });
    }

    private Mono<Void> take(int logical, int physical, UringFile file) {
        free.clear(physical);
        Mono<Void> taken = punch(physical, file)
                .publishOn(thread)
                .doOnSuccess(nothing -> {
                    changes.put(logical, physical);
                    cells.set(logical, FIRST_CELL + physical);
                })
                .doOnError(e -> free.set(physical))
                .doOnTerminate(() -> busy.remove(logical))
                .cache();                                              // whoever is cancelled does not stop it
        busy.put(logical, taken);
        return taken;
    }

    private Mono<Void> punch(int physical, UringFile file) {
        return file.punchHole((long) physical * extentBytes, extentBytes);
    }

    private static KernelException full(UringFile file) {
        return new KernelException("take an extent of " + file.path(), Errno.ENOSPC, "All are in use; discard what is not needed, "
                + "or make the file longer and open the volume again");
    }

    /** Gives up the place of an extent, once nobody uses it. From then on it reads as zeroes. */
    Mono<Void> giveUp(int logical) {
        return onThread(() -> {
            Mono<Void> before = busy.get(logical);
            if (before != null) return before.onErrorComplete().then(giveUp(logical));
            if (cells.get(logical) == 0) return lookUp(logical).then(giveUp(logical));
            if (cells.get(logical) == NONE_CELL) return Mono.empty();
            Sinks.Empty<Void> left = Sinks.empty();
            leaving.put(logical, left);
            busy.put(logical, left.asMono());
            if (isAbandoned(cells.addAndGet(logical, LEAVING_BIT))) drop(logical);
            return left.asMono();
        });
    }

    private void drop(int logical) {
        dropped.add((int) cells.get(logical) - FIRST_CELL);
        changes.put(logical, UNMAPPED);
        cells.set(logical, NONE_CELL);
        busy.remove(logical);
        Sinks.Empty<Void> left = leaving.remove(logical);
        if (left != null) left.tryEmitEmpty();
    }

    /** Makes everything durable that has ended, data and map. Covers what all queues did. */
    Mono<Void> flush(UringFile file) {
        return Mono.create(sink -> thread.schedule(() -> {
            waiting.add(new Flush(file, sink));
            flushIfIdle();
        }));
    }

    private void flushIfIdle() {
        if (flushing || waiting.isEmpty()) return;
        flushing = true;
        List<Flush> served = waiting;
        waiting = new ArrayList<>();
        releasing = dropped;
        dropped = new ArrayList<>();
        Map<Integer, Integer> covered = Map.copyOf(changes);
        UringFile file = served.getFirst().file;
        Mono<Void> durable = failure != null ? Mono.error(failure)
                : file.dataSync().publishOn(thread).then(Mono.fromRunnable(() -> commit(covered)));
        durable.doOnError(this::fail)
                .doOnError(e -> served.forEach(flush -> flush.sink.error(e)))
                .doOnSuccess(nothing -> served.forEach(flush -> flush.sink.success()))
                .then(Mono.defer(() -> release(file)))
                .onErrorComplete()
                .subscribe(nothing -> {}, e -> {}, this::flushed);
    }

    private void commit(Map<Integer, Integer> covered) {
        if (covered.isEmpty()) return;
        store.commit(covered);
        covered.forEach(changes::remove);                              // unless they have changed since
    }

    private void fail(Throwable e) {
        if (failure == null) LOG.error("the volume has failed: nothing will be durable any more", e);
        failure = e;
    }

    /** Gives what nobody owns back to the file system: as far as it can, since it is made zeroes when it is taken. */
    private Mono<Void> release(UringFile file) {
        List<Integer> released = releasing;
        return Flux.fromIterable(released)
                .flatMap(physical -> punch(physical, file).onErrorComplete(), CONCURRENT_HOLES, 1)
                .then()
                .publishOn(thread)
                .doOnSuccess(nothing -> released.forEach(free::set));
    }

    private void flushed() {
        releasing = List.of();
        flushing = false;
        flushIfIdle();
    }

    private <T> Mono<T> onThread(Supplier<Mono<T>> action) {
        return Mono.defer(action).subscribeOn(thread);
    }

    /** Closes the store. After the last flush: what none has covered is lost. */
    @Override
    public void close() {
        thread.dispose();
        store.close();
    }
}
