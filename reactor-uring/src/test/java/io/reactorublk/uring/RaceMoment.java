package io.reactorublk.uring;

import java.util.concurrent.ThreadLocalRandom;

/**
 * When the two sides of a race meet. A turn takes far longer than the one instruction that another thread may get into, so
 * one of both starts later, by chance: over many rounds they meet everywhere.
 */
public final class RaceMoment {

    /** About as many spins as a turn takes. */
    private static final int MOST_SPINS = 60;

    private final int lead = ThreadLocalRandom.current().nextInt(-MOST_SPINS, MOST_SPINS);

    /** To be called first by the one side. */
    public void first() {
        spin(lead);
    }

    /** To be called first by the other side. */
    public void second() {
        spin(-lead);
    }

    private static void spin(int times) {
        for (int i = 0; i < times; i++) Thread.onSpinWait();
    }
}
