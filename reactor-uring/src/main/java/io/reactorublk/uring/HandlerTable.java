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

    /**
     * Who handles the operation in each slot, or handled the last one: clearing it would make every {@link #add} store a
     * reference, whose barrier under G1 costs more than all the rest, and a queue's handlers are the same all its life.
     */
    private @Nullable CompletionHandler[] handlers;
    /** The {@code user_data} of the operation in each slot, or of the next one there. */
    private long[] userData;
    /** The free slots, as a stack: the one freed last is the one still in the cache. */
    private int[] free;
    private int freeCount;
    private boolean[] parked;
    private int parkedCount;

    HandlerTable(int capacity) {
        handlers = new CompletionHandler[capacity];
        userData = new long[capacity];
        free = new int[capacity];
        parked = new boolean[capacity];
        addSlots(0, capacity);
    }

    /** Takes a slot for an operation and returns the {@code user_data} that names it. */
    long add(CompletionHandler handler) {
        if (freeCount == 0) grow();
        int slot = free[--freeCount];
        if (handlers[slot] != handler) handlers[slot] = handler;
        return userData[slot];
    }

    /** Hands one completion to its handler, and gives the slot back unless more completions follow. */
    void complete(long id, int result, int flags, boolean more) {
        int slot = (int) id;
        CompletionHandler handler = handlers[slot];
        if (handler == null || userData[slot] != id) {
            throw new IllegalStateException("completion of user_data 0x" + Long.toHexString(id) + ", which is not in flight");
        }
        if (!more) remove(slot);
        handler.onCompletion(result, flags);
    }

    /** Says that an operation ends only with the ring, so that nobody waits for it. */
    void park(long id) {
        parked[(int) id] = true;
        parkedCount++;
    }

    /** Operations staged or in the kernel. */
    int inFlight() {
        return handlers.length - freeCount;
    }

    /** Those that end without the ring, by themselves or by cancellation. */
    int awaited() {
        return inFlight() - parkedCount;
    }

    private void remove(int slot) {
        userData[slot] += ONE_GENERATION;
        free[freeCount++] = slot;
        if (parked[slot]) {
            parked[slot] = false;
            parkedCount--;
        }
    }

    private void grow() {
        int capacity = handlers.length;
        handlers = Arrays.copyOf(handlers, 2 * capacity);
        userData = Arrays.copyOf(userData, 2 * capacity);
        free = Arrays.copyOf(free, 2 * capacity);
        parked = Arrays.copyOf(parked, 2 * capacity);
        addSlots(capacity, 2 * capacity);
    }

    private void addSlots(int from, int to) {
        for (int slot = to - 1; slot >= from; slot--) {
            userData[slot] = slot;
            free[freeCount++] = slot;
        }
    }
}
