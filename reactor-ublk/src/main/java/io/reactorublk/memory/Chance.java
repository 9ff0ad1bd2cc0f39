package io.reactorublk.memory;

import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;

/** What the driver leaves to chance: decided by a seed, or never in the unlikely way. */
final class Chance {

    private final @Nullable SplittableRandom random;

    /** Everything as usual. */
    Chance() {
        random = null;
    }

    Chance(long seed) {
        random = new SplittableRandom(seed);
    }

    /** Whether the unusual happens this time. */
    boolean once(int times) {
        return random != null && random.nextInt(times) == 0;
    }

    /** One of so many; 0 as usual. */
    int pick(int count) {
        return random == null ? 0 : random.nextInt(count);
    }

    /** From 1 to this; as usual all of it. */
    int upTo(int most) {
        return random == null ? most : 1 + random.nextInt(most);
    }
}
