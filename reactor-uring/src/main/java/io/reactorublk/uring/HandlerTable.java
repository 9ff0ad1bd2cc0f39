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

    private static final int END = -1;

    private @Nullable CompletionHandler[] handlers;
    private int[] generations;
    private int[] nextFree;
    private boolean[] parked;
    private int firstFree = END;
    private int inFlight;
    private int awaited;

    HandlerTable(int capacity) {
        handlers = new CompletionHandler[capacity];
        generations = new int[capacity];
        nextFree = new int[capacity];
        parked = new boolean[capacity];
        linkFree(0, capacity);
    }

    /** Takes a slot for an operation and returns the {@code user_data} that names it. */
    long add(CompletionHandler handler) {
        if (firstFree == END) grow();
        int slot = firstFree;
        firstFree = nextFree[slot];
        handlers[slot] = handler;
        inFlight++;
        awaited++;
        return (long) generations[slot] << 32 | slot;
    }

    /** Hands one completion to its handler, and gives the slot back unless more completions follow. */
    void complete(long userData, int result, int flags, boolean more) {
        int slot = (int) userData;
        CompletionHandler handler = handlers[slot];
        if (handler == null || generations[slot] != (int) (userData >>> 32)) {
            throw new IllegalStateException("a completion for user_data " + Long.toHexString(userData) + ", which is not in flight");
        }
        if (!more) remove(slot);
        handler.onCompletion(result, flags);
    }

    /** Says that an operation ends only with the ring, so that nobody waits for it. */
    void park(long userData) {
        parked[(int) userData] = true;
        awaited--;
    }

    /** Operations staged or in the kernel. */
    int inFlight() {
        return inFlight;
    }

    /** Those that end without the ring, by themselves or by cancellation. */
    int awaited() {
        return awaited;
    }

    private void remove(int slot) {
        handlers[slot] = null;
        generations[slot]++;
        nextFree[slot] = firstFree;
        firstFree = slot;
        inFlight--;
        if (!parked[slot]) awaited--;
        parked[slot] = false;
    }

    private void grow() {
        int capacity = handlers.length;
        handlers = Arrays.copyOf(handlers, 2 * capacity);
        generations = Arrays.copyOf(generations, 2 * capacity);
        nextFree = Arrays.copyOf(nextFree, 2 * capacity);
        parked = Arrays.copyOf(parked, 2 * capacity);
        linkFree(capacity, 2 * capacity);
    }

    private void linkFree(int from, int to) {
        for (int slot = to - 1; slot >= from; slot--) {
            nextFree[slot] = firstFree;
            firstFree = slot;
        }
    }
}
