package io.reactorublk;

import io.reactorublk.memory.MemoryUblk;
import io.reactorublk.uring.Kernel;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Future;
import java.util.function.BooleanSupplier;

/**
 * The driver in memory. What a server may not do is done here on purpose, so it is settled by its kernel: that only lets
 * happen what a real one would, where {@link MemoryUblk#settle} throws.
 */
final class MemoryDriver implements DriverFixture {

    private static final Duration LONGEST_STEP = Duration.ofSeconds(1);
    private static final int MOST_STEPS = 60;

    private final MemoryUblk ublk;

    MemoryDriver(MemoryUblk ublk) {
        this.ublk = ublk.withoutPartitionScan();
    }

    @Override
    public Kernel kernel() {
        return ublk.kernel();
    }

    @Override
    public Disk disk(int id) {
        return new OpenMemoryDisk(ublk.disk(id));
    }

    /** Moves the clock only if nothing else helps. Twice, for what the condition itself sets going. */
    @Override
    public void await(BooleanSupplier condition) {
        Duration step = Duration.ofMillis(1);
        for (int steps = 0; steps < MOST_STEPS; steps++) {
            for (int i = 0; i < 4; i++) {
                settle();
                if (condition.getAsBoolean()) return;
            }
            ublk.kernel().advanceTime(step);
            if (step.compareTo(LONGEST_STEP) < 0) step = step.multipliedBy(2);
        }
        throw new IllegalStateException("it never is so; there is " + ublk);
    }

    @Override
    public void settle() {
        ublk.kernel().settle();
    }

    @Override
    public void awaitInFlight(int id, int count) {
        settle();
    }

    @Override
    public Future<?> onlookersGone() {
        return CompletableFuture.completedFuture(null);
    }

    @Override
    public String footprint() {
        settle();
        return ublk + ", descriptors: " + ublk.kernel().openDescriptors();
    }

    @Override
    public void close() {
        try {
            ublk.settle();
        } catch (AssertionError breach) {
            // As intended, see above.
        }
        ublk.close();
    }
}
