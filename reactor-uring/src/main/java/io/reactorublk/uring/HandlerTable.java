package io.reactorublk.uring;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Which {@link CompletionHandler} an operation belongs to. The only reader and writer of {@code user_data}:
 *
 * <pre>
 *   63            32 31             0
 *  +----------------+----------------+
 *  |   generation   |      slot      |      a slot is used again and again; its generation tells a late
 *  +----------------+----------------+      cancellation that the operation it meant is gone
 * </pre>
 */
final class HandlerTable {

    private static final long ONE_GENERATION = 1L << 32;

    /** One operation. In one object, because of arrays, one for each field, each would have its bounds checked. */
    private static final class Slot {

        /**
         * Who handles the operation, or handled the last one: clearing it would make every {@link #add} store a reference,
         * whose barrier under G1 costs more than all the rest, and a queue's handlers are the same all its life.
         */
        @Nullable CompletionHandler handler;
        /** The {@code user_data} of the operation, or of the next one here. */
        long userData;
        boolean parked;

        Slot(int number) {
            userData = number;
        }
    }

    private Slot[] slots;
    /** The numbers of the free slots, as a stack: the one freed last is the one still in the cache. */
    private int[] free;
    private int freeCount;
    private int parkedCount;

    HandlerTable(int capacity) {
        slots = new Slot[capacity];
        free = new int[capacity];
        addSlots(0, capacity);
    }

    /** Takes a slot for an operation and returns the {@code user_data} that names it. */
    long add(CompletionHandler handler) {
        if (freeCount == 0) grow();
        Slot slot = slots[free[--freeCount]];
        if (slot.handler != handler) slot.handler = handler;
        return slot.userData;
    }

    /** Hands one completion to its handler, and gives the slot back unless more completions follow. */
    void complete(long id, int result, int flags, boolean more) {
        Slot slot = slots[(int) id];
        CompletionHandler handler = slot.handler;
        if (handler == null || slot.userData != id) {
            throw new IllegalStateException("completion of user_data 0x" + Long.toHexString(id) + ", which is not in flight");
        }
        if (!more) free(slot);
        handler.onCompletion(result, flags);
    }

    /** Says that an operation ends only with the ring, so that nobody waits for it. */
    void park(long id) {
        slots[(int) id].parked = true;
        parkedCount++;
    }

    /** Operations staged or in the kernel. */
    int inFlight() {
        return slots.length - freeCount;
    }

    /** Those that end without the ring, by themselves or by cancellation. */
    int awaited() {
        return inFlight() - parkedCount;
    }

    private void free(Slot slot) {
        free[freeCount++] = (int) slot.userData;
        slot.userData += ONE_GENERATION;
        if (slot.parked) {
            slot.parked = false;
            parkedCount--;
        }
    }

    private void grow() {
        int capacity = slots.length;
        slots = Arrays.copyOf(slots, 2 * capacity);
        free = Arrays.copyOf(free, 2 * capacity);
        addSlots(capacity, 2 * capacity);
    }

    private void addSlots(int from, int to) {
        for (int number = to - 1; number >= from; number--) {
            slots[number] = new Slot(number);
            free[freeCount++] = number;
        }
    }
}
