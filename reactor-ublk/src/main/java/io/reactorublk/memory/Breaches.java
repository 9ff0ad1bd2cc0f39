package io.reactorublk.memory;

import java.util.ArrayList;
import java.util.List;

/** What a server did that no server may do, and that a real kernel would let pass or make it hang for. Any thread. */
final class Breaches {

    private final List<AssertionError> found = new ArrayList<>();
    private int reported;

    /** Keeps the stack, for whoever breaks a contract often stands in it. */
    synchronized void add(String what) {
        found.add(new AssertionError(what));
    }

    /** What somebody did who could not be told of it. */
    synchronized void add(Throwable e) {
        found.add(new AssertionError(e.getMessage() == null ? e.toString() : e.getMessage(), e));
    }

    synchronized List<String> all() {
        return found.stream().map(Throwable::getMessage).toList();
    }

    /** Throws those that were not thrown before: the first, and the others with it. */
    synchronized void report() {
        if (reported == found.size()) return;
        AssertionError first = found.get(reported++);
        while (reported < found.size()) first.addSuppressed(found.get(reported++));
        throw first;
    }
}
