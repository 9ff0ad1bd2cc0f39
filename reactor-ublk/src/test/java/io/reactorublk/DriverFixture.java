package io.reactorublk;

import io.reactorublk.uring.Kernel;
import java.util.concurrent.Future;
import java.util.function.BooleanSupplier;

/**
 * A ublk driver under test and what a test of it needs, so that one contract holds for the driver of a real kernel and for
 * the one in memory. Everything but the disks is the test's own thread.
 */
interface DriverFixture extends AutoCloseable {

    /** The kernel that has the driver. */
    Kernel kernel();

    /** The application's side of the device with this number. */
    Disk disk(int id);

    /** Waits until this is so, and fails if it never is. */
    void await(BooleanSupplier condition);

    /** Gives everything that could still move its chance to do so: before saying that something has not happened. */
    void settle();

    /** Waits until the kernel has given so many requests for the disk of this device to the driver; drives no ring. */
    void awaitInFlight(int id, int count);

    /** Is done when nobody but the test looks at the disks that have just appeared. */
    Future<?> onlookersGone();

    /** All that devices take of this machine. */
    String footprint();

    @Override
    void close();
}
