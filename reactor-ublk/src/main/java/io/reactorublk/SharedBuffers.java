package io.reactorublk;

import io.reactorublk.abi.ublk_cmd_h;
import io.reactorublk.uring.EventLoop;
import io.reactorublk.uring.IoBuffer;
import java.lang.foreign.MemorySegment;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;

/**
 * Bytes of requests that an application has in memory it shares with us, and so needs no copy. The driver finds them by
 * their page frames, and names them in the descriptor:
 *
 * <pre>
 *    63      48 47            32 31             0
 *   +----------+----------------+----------------+
 *   |    0     | which memory   | offset in it   |       addr, with UBLK_IO_F_SHMEM_ZC
 *   +----------+----------------+----------------+
 * </pre>
 */
final class SharedBuffers extends DataBuffers {

    /** What a device shares, by the driver's numbers. Changed on the control loop, read on those of the queues. */
    static final class Registered {

        private final ConcurrentHashMap<Integer, SharedMemory> byIndex = new ConcurrentHashMap<>();
        private final Set<Integer> strange = ConcurrentHashMap.newKeySet();
        private final AtomicInteger expected = new AtomicInteger();
        private final IntConsumer whenStrange;

        /** @param whenStrange told of a number that is in use and not ours, once; until that is {@link #forgotten} */
        Registered(IntConsumer whenStrange) {
            this.whenStrange = whenStrange;
        }

        /** Numbers come before long, see {@link #arrived}. */
        void expect() {
            expected.incrementAndGet();
        }

        void add(int index, SharedMemory memory) {
            byIndex.put(index, memory);
        }

        /** After it was added, or did not come. */
        void arrived() {
            expected.decrementAndGet();
        }

        void forgotten(int index) {
            strange.remove(index);
        }

        Set<SharedMemory> all() {
            return Set.copyOf(byIndex.values());
        }

        /** Only if the number has not been given to other memory since. */
        void remove(int index, SharedMemory memory) {
            byIndex.remove(index, memory);
        }

        @Nullable Integer indexOf(SharedMemory memory) {
            for (var entry : byIndex.entrySet()) if (entry.getValue() == memory) return entry.getKey();
            return null;
        }
    }

    private final Registered registered;
    private final IoDescriptors descriptors;

    SharedBuffers(Registered registered, IoDescriptors descriptors) {
        this.registered = registered;
        this.descriptors = descriptors;
    }

    /** Whether we know where that is. */
    boolean knows(int tag) {
        return registered.byIndex.containsKey(memoryIndex(descriptors.address(tag)));
    }

    /** Whether we may know it soon: the driver uses memory a moment before it tells us its number. To be asked first. */
    boolean learns() {
        return registered.expected.get() > 0;
    }

    /** Somebody else has shared that: a server that is gone, or we ourselves when nobody waited for the number any more. */
    void strange(int tag) {
        int index = memoryIndex(descriptors.address(tag));
        if (registered.strange.add(index)) registered.whenStrange.accept(index);
    }

    @Override
    boolean areVisible() {
        return true;
    }

    /** Tells a request that is known where its bytes are, while the descriptor is its own: a lost target may ask much later. */
    void deliver(BlockRequest request) {
        long place = descriptors.address(request.tag());
        SharedMemory memory = Objects.requireNonNull(registered.byIndex.get(memoryIndex(place)));
        if (memory.isClosed()) return;
        MemorySegment bytes = memory.memory().asSlice(place & ublk_cmd_h.UBLK_SHMEM_ZC_OFF_MASK(), request.length());
        request.keep(new IoBuffer.Segment(bytes, request.owner(bytes.address(), false)));
    }

    @Override
    IoBuffer buffer(BlockRequest request, @Nullable EventLoop loop, boolean step) {
        if (!(request.kept() instanceof IoBuffer.Segment told)) {
            throw new IllegalStateException("the memory that " + request + " is in was closed while it was shared");
        }
        return step ? new IoBuffer.Segment(told.memory(), request.owner(told.address(), true)) : told;
    }

    /** What is in it is the application's. */
    @Override
    Mono<Void> finish(BlockRequest request, int length) {
        return Mono.empty();
    }

    private static int memoryIndex(long place) {
        return (int) ((place >>> ublk_cmd_h.UBLK_SHMEM_ZC_IDX_OFF()) & ublk_cmd_h.UBLK_SHMEM_ZC_IDX_MASK());
    }

    /** They are the application's, which may use them for something else as soon as it has an answer. */
    @Override
    boolean isolates() {
        return false;
    }

    /** Nothing keeps a lost target that has seen them from touching them again; its operations, at least, end first. */
    @Override
    void quarantine(int tag) {}
}
