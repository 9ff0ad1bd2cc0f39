package io.reactorublk.memory;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Memory of requests that were answered, filled with a pattern: who reads it sees that, who writes it is found out when it is
 * looked at. No kernel does this; the memory of a tag belongs to its next request, which may come at any time.
 */
final class Poison {

    static final byte PATTERN = (byte) 0xDB;

    private static final int CHUNK = 64 << 10;
    private static final MemorySegment CLEAN = clean();

    private record Dose(MemorySegment memory, IoRequest.Name request, DriverQueue queue) {}

    private final Map<Long, Dose> doses = new HashMap<>();
    private final Breaches breaches;

    Poison(Breaches breaches) {
        this.breaches = breaches;
    }

    private static MemorySegment clean() {
        byte[] pattern = new byte[CHUNK];
        Arrays.fill(pattern, PATTERN);
        return MemorySegment.ofArray(pattern);
    }

    /** A request was answered. */
    void put(MemorySegment memory, IoRequest.Name request, DriverQueue queue) {
        memory.fill(PATTERN);
        doses.put(memory.address(), new Dose(memory, request, queue));
    }

    /** The memory at this address is about to belong to another request. */
    void lift(long address) {
        check(doses.remove(address));
    }

    /** The server of a device has gone: looks at all its memory for the last time. */
    void liftAll(DriverDevice device) {
        for (Dose dose : List.copyOf(doses.values())) {
            if (dose.queue.device() == device) lift(dose.memory.address());
        }
    }

    /** Looks at all of it. Who is found out is so once for each time. */
    void check() {
        for (Dose dose : doses.values()) if (check(dose)) dose.memory.fill(PATTERN);
    }

    private boolean check(@Nullable Dose dose) {
        if (dose == null || !dose.memory.scope().isAlive()) return false;
        long at = firstTouched(dose.memory);
        if (at < 0) return false;
        breaches.add("the memory of %s of %s was written after it had been answered: byte %d is 0x%02x".formatted(
                dose.request, dose.queue, at, dose.memory.get(ValueLayout.JAVA_BYTE, at)));
        return true;
    }

    private static long firstTouched(MemorySegment memory) {
        for (long from = 0; from < memory.byteSize(); from += CHUNK) {
            long length = Math.min(CHUNK, memory.byteSize() - from);
            long mismatch = MemorySegment.mismatch(memory, from, from + length, CLEAN, 0, length);
            if (mismatch >= 0) return from + mismatch;
        }
        return -1;
    }
}
