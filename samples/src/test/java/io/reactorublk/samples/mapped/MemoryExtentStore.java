package io.reactorublk.samples.mapped;

import java.util.BitSet;
import java.util.HashMap;
import java.util.Map;

/** A store as the contract of {@link ExtentStore} has it, which outlives the process it is used by; every commit counted. */
final class MemoryExtentStore implements ExtentStore {

    private final Map<Integer, Integer> durable = new HashMap<>();
    private int commits;
    private boolean fails;

    @Override
    public int lookUp(int logical) {
        return durable.getOrDefault(logical, NONE);
    }

    @Override
    public BitSet used() {
        BitSet used = new BitSet();
        for (int physical : durable.values()) {
            if (used.get(physical)) throw new AssertionError("two extents are at " + physical + ": " + durable);
            used.set(physical);
        }
        return used;
    }

    @Override
    public void commit(Map<Integer, Integer> changes) {
        if (fails) throw new IllegalStateException("the store is broken");
        commits++;
        changes.forEach((logical, physical) -> {
            if (physical == NONE) {
                durable.remove(logical);
            } else {
                durable.put(logical, physical);
            }
        });
        used();                                                        // no two at one place, after any commit
    }

    int commits() {
        return commits;
    }

    int size() {
        return durable.size();
    }

    void breakDown() {
        fails = true;
    }

    @Override
    public void close() {}
}
