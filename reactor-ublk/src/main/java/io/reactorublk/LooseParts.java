package io.reactorublk;

import java.util.Comparator;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;

/** Bytes of a READ that were filled before those in front of them. */
final class LooseParts {

    private record Part(int from, int end) {}

    private final Queue<Part> parts = new ConcurrentLinkedQueue<>();

    /** Any thread. */
    void add(int from, int end) {
        parts.add(new Part(from, end));
    }

    /**
     * How far all is filled. When no more come.
     *
     * @param filled how far it is without these
     */
    int reach(int filled) {
        int end = filled;
        for (Part part : parts.stream().sorted(Comparator.comparingInt(Part::from)).toList()) {
            if (part.from > end) break;
            end = Math.max(end, part.end);
        }
        return end;
    }
}
