package io.reactorublk;

import io.reactorublk.abi.ublk_cmd_h;
import io.reactorublk.uring.EventLoop;
import io.reactorublk.uring.IoBuffer;
import java.lang.foreign.MemorySegment;
import java.util.Objects;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

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

        void add(int index, SharedMemory memory) {
            byIndex.put(index, memory);
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

    /** Whether we know already where that is: the driver uses memory a moment before it tells us its number. */
    boolean knows(int tag) {
        return registered.byIndex.containsKey(memoryIndex(descriptors.address(tag)));
    }

    @Override
    boolean areVisible() {
        return true;
    }

    @Override
    IoBuffer buffer(BlockRequest request, @Nullable EventLoop loop) {
        long place = descriptors.address(request.tag());
        MemorySegment memory = Objects.requireNonNull(registered.byIndex.get(memoryIndex(place))).memory();
        return new IoBuffer.Segment(
                memory.asSlice(place & ublk_cmd_h.UBLK_SHMEM_ZC_OFF_MASK(), request.length()), request.bytes());
    }

    private static int memoryIndex(long place) {
        return (int) ((place >>> ublk_cmd_h.UBLK_SHMEM_ZC_IDX_OFF()) & ublk_cmd_h.UBLK_SHMEM_ZC_IDX_MASK());
    }

    /** They are the application's; a lost target does no more harm to them than the application could. */
    @Override
    void quarantine(int tag) {}
}
