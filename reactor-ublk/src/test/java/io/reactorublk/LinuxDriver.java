package io.reactorublk;

import io.reactorublk.uring.Kernel;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Future;
import java.util.function.BooleanSupplier;
import org.awaitility.Awaitility;

/** The driver of this machine's kernel. */
final class LinuxDriver implements DriverFixture {

    private final LinuxDevices linux = new LinuxDevices();

    @Override
    public Kernel kernel() {
        return linux.kernel();
    }

    @Override
    public Disk disk(int id) {
        return new LinuxDisk(Path.of("/dev/ublkb" + id));
    }

    /** On the test's own thread, to which its rings belong. */
    @Override
    public void await(BooleanSupplier condition) {
        Awaitility.await().pollInSameThread().atMost(LinuxDevices.LIMIT).pollDelay(Duration.ZERO).pollInterval(Duration.ofMillis(1))
                .until(condition::getAsBoolean);
    }

    @Override
    public void settle() {
        linux.elapse(Duration.ofMillis(50));
    }

    @Override
    public void awaitInFlight(int id, int count) {
        linux.awaitInFlight(id, count);
    }

    /** udev, where there is one, looks for file systems on every new disk. */
    @Override
    public Future<?> onlookersGone() {
        try {
            return new ProcessBuilder("udevadm", "settle", "--timeout=10").inheritIO().start().onExit();
        } catch (IOException thereIsNoUdev) {
            return CompletableFuture.completedFuture(null);
        }
    }

    @Override
    public String footprint() {
        return linux.footprint();
    }

    @Override
    public void close() {
        linux.close();
    }
}
