package io.reactorublk.uring.memory;

import io.reactorublk.uring.Errno;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** What one kind of call has been told to get wrong. */
final class Faults {

    private final Map<Long, Errno> failures = new HashMap<>();
    private final Map<Long, Integer> limits = new HashMap<>();
    private @Nullable Errno always;
    private long calls;

    /** The n-th call from now fails; the next one is the first. */
    void fail(int nth, Errno errno) {
        if (nth < 1) throw new IllegalArgumentException("call number " + nth + " from now; 1 is the next");
        failures.put(calls + nth, errno);
    }

    void failAlways(Errno errno) {
        always = errno;
    }

    /** The n-th call from now does at most so many bytes. */
    void shorten(int nth, int bytes) {
        if (nth < 1) throw new IllegalArgumentException("call number " + nth + " from now; 1 is the next");
        limits.put(calls + nth, bytes);
    }

    void heal() {
        failures.clear();
        limits.clear();
        always = null;
    }

    /** A call happens. Returns how many bytes it may do at most, or a negative errno. */
    int next() {
        calls++;
        Errno failure = failures.remove(calls);
        if (failure == null) failure = always;
        if (failure != null) return failure.result();
        Integer limit = limits.remove(calls);
        return limit == null ? Integer.MAX_VALUE : limit;
    }

    long calls() {
        return calls;
    }
}
