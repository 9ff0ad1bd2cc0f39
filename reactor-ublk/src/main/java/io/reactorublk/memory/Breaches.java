package io.reactorublk.memory;

import java.util.ArrayList;
import java.util.List;

/** What a server did that no server may do, and that a real kernel would let pass or make it hang for. */
final class Breaches {

    private final List<AssertionError> found = new ArrayList<>();
    private int reported;

    /** Keeps the stack, for whoever breaks a contract often stands in it. */
    void add(String what) {
        found.add(new AssertionError(what));
    }

    List<String> all() {
        return found.stream().map(Throwable::getMessage).toList();
    }

    /** Throws the first one that was not thrown before. */
    void report() {
        if (reported < found.size()) throw found.get(reported++);
    }
}
