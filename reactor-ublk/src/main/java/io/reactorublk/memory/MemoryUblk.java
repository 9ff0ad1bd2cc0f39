package io.reactorublk.memory;

import io.reactorublk.UblkDevice;
import io.reactorublk.UblkServer;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.memory.MemoryKernel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.LongFunction;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;

/**
 * A kernel in memory with the ublk driver loaded: serve devices on its {@link #kernel()}, use them as {@link MemoryDisk}s.
 * Nothing moves but inside {@link #settle}, {@link #advanceTime} and {@link #get}, on the thread that calls them, so a test
 * is over in milliseconds and runs twice the same way.
 *
 * <p>Its clock is its own: what is timed by a queue's {@link io.reactorublk.BlockQueue#loop loop} waits for {@link #advanceTime}. Reactor's own
 * schedulers have other threads and the real clock, unless {@code StepVerifier.withVirtualTime} takes that over; {@link #get}
 * waits for them, as for every other thread, in real time.
 *
 * <p>It watches what no kernel can:
 *
 * <ul>
 *   <li>Where the driver copies ({@link io.reactorublk.DataMode#COPY}), the memory of an answered request is filled with a pattern, and
 *       who writes it later is found out. Who reads it later is not, but what he reads is that pattern. In the other modes bytes stay
 *       in the kernel, and a READ shows the pattern as far as nobody has written it.
 *   <li>Nobody answers a request twice, or one of another queue.
 *   <li>No task of a loop fails.
 * </ul>
 *
 * Such a breach of the rules is thrown by the method that lets it happen or finds it, and is one of {@link #breaches}.
 */
public final class MemoryUblk implements AutoCloseable {

    private static final Duration PATIENCE = Duration.ofMinutes(1);
    private static final Duration FIRST_STEP = Duration.ofMillis(1);
    /** For other threads to do their part before the clock moves on, and when nothing but they can still move anything. In real time. */
    private static final Duration PAUSE = Duration.ofMillis(1);
    private static final Duration PATIENCE_WITH_OTHERS = Duration.ofSeconds(5);
    /** Small, because the memory of each tag is: 64 KiB. */
    private static final int QUEUE_MAX_IO_BYTES = 64 << 10;
    private static final long QUEUE_DEVICE_BYTES = 1L << 30;

    private final MemoryKernel kernel;
    private final MemoryUblkDriver driver;

    private MemoryUblk(MemoryKernel kernel, Chance chance) {
        this.kernel = kernel;
        driver = new MemoryUblkDriver(kernel, chance);
    }

    /** A kernel in which everything happens in order and as soon as it can. */
    public static MemoryUblk create() {
        return new MemoryUblk(MemoryKernel.create(), new Chance());
    }

    /** A kernel in which a seed decides what can happen in more than one way: order, splits, delays, queues, tags. */
    public static MemoryUblk create(long seed) {
        return new MemoryUblk(MemoryKernel.create(seed), new Chance(seed));
    }

    /** As a machine with so many CPUs, which bound the queues of a device; 4 by default. */
    public MemoryUblk cpus(int count) {
        driver.cpus(count);
        return this;
    }

    /** Devices that start are not read by the kernel itself, which looks for partitions on their first page. */
    public MemoryUblk withoutPartitionScan() {
        driver.scansPartitions(false);
        return this;
    }

    /**
     * As for a process without CAP_SYS_ADMIN, to which udev gives what is its own: it makes {@linkplain UblkServer#unprivileged
     * unprivileged} devices, and controls no others. A request of theirs that takes 30 s ends the process, as by {@link #kill}.
     */
    public MemoryUblk withoutPrivileges() {
        driver.withoutPrivileges();
        return this;
    }

    /** For tests of this project: which control commands a signal meets, and how they end then. */
    MemoryUblk interruptControl(LongFunction<@Nullable Errno> which) {
        driver.interruptions(which);
        return this;
    }

    /** Where to serve: {@link UblkServer#kernel}. */
    public MemoryKernel kernel() {
        return kernel;
    }

    /** The application's side of a device. */
    public MemoryDisk disk(UblkDevice device) {
        return disk(device.id());
    }

    /**
     * The application's side of the device with this number, whoever serves it.
     *
     * @throws KernelException ENODEV, if there is no such device
     */
    public MemoryDisk disk(int id) {
        return new MemoryDisk(driver, driver.device(id));
    }

    /** A queue alone, of a device of 1 GiB without a target: for {@code StepVerifier.create(queue, n)}. */
    public MemoryQueue queue(int depth) {
        return queue(UblkServer.create().size(QUEUE_DEVICE_BYTES).queueDepth(depth).maxIoBytes(QUEUE_MAX_IO_BYTES));
    }

    /** The queue of such a device, which is started here. One queue, no partition scan. */
    public MemoryQueue queue(UblkServer server) {
        MemoryQueue.Source source = new MemoryQueue.Source();
        boolean scans = driver.scansPartitions();
        driver.scansPartitions(false);
        try {
            UblkDevice device = java.util.Objects.requireNonNull(get(server.kernel(kernel).queues(1).serve(source).start()));
            return new MemoryQueue(source, device, disk(device));
        } finally {
            driver.scansPartitions(scans);
        }
    }

    // ------------------------------------------------------------------------------------------- time

    /**
     * Lets everything happen that can happen now. Does not move the clock.
     *
     * @throws AssertionError if a server broke a rule meanwhile
     */
    public void settle() {
        kernel.settle();
        driver.report();
    }

    /**
     * Lets one thing happen of all that can happen now; false if there is none.
     *
     * @throws AssertionError if a server broke a rule meanwhile
     */
    public boolean step() {
        boolean moved = kernel.step();
        driver.breaches().report();
        return moved;
    }

    /**
     * Moves the clock from deadline to deadline, and settles at each.
     *
     * @throws AssertionError if a server broke a rule meanwhile
     */
    public void advanceTime(Duration time) {
        kernel.advanceTime(time);
        driver.report();
    }

    /** {@link #get(Mono, Duration)} with a minute. */
    public <T> @Nullable T get(Mono<T> mono) {
        return get(mono, PATIENCE);
    }

    /**
     * Subscribes, settles, and moves the clock by up to a limit until there is an outcome. When nothing here can move any more other
     * threads may still be at work: they get up to 5 s of real time. The clock does not wait for them, so a time limit on a loop
     * over what another thread does may pass early.
     *
     * @param limit how far the clock may move
     * @return the value, or null if it completes empty
     * @throws AssertionError if it hangs
     */
    public <T> @Nullable T get(Mono<T> mono, Duration limit) {
        CompletableFuture<@Nullable T> outcome = mono.toFuture();
        if (!isThere(outcome, limit)) {
            throw new AssertionError("it hangs: no outcome within " + limit + ", nor of other threads within "
                    + PATIENCE_WITH_OTHERS.toSeconds() + " s; there are " + driver.devices());
        }
        try {
            return outcome.join();
        } catch (CompletionException e) {
            if (e.getCause() instanceof RuntimeException cause) throw cause;
            if (e.getCause() instanceof Error cause) throw cause;
            throw e;
        }
    }

    /** Whether it comes to be. Time passes in steps that double, so that a day takes a few of them. */
    private boolean isThere(CompletableFuture<?> outcome, Duration limit) {
        Duration left = limit;
        Duration step = FIRST_STEP;
        long patience = PATIENCE_WITH_OTHERS.toNanos();
        settle();
        while (!outcome.isDone()) {
            boolean timeHelps = left.isPositive() && kernel.hasDeadline();
            long start = System.nanoTime();
            boolean othersHelp = patience > 0 && isMoved(outcome, timeHelps ? PAUSE.toNanos() : patience);
            patience -= System.nanoTime() - start;
            if (othersHelp) {
                settle();
            } else if (timeHelps) {
                advanceTime(step.compareTo(left) < 0 ? step : left);
                left = left.minus(step);
                step = step.multipliedBy(2);
            } else {
                return false;
            }
        }
        return true;
    }

    /** Whether other threads make something move, within so much of their time. */
    private boolean isMoved(CompletableFuture<?> outcome, long nanos) {
        long start = System.nanoTime();
        do {
            try {
                Thread.sleep(PAUSE);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new AssertionError("interrupted", e);
            }
            if (outcome.isDone() || step()) return true;
        } while (System.nanoTime() - start < nanos);
        return false;
    }

    /**
     * The server's process dies between two steps, as by {@code SIGKILL}: its loops turn no more, and what becomes of its
     * devices their {@link io.reactorublk.Recovery} says. Applications live on. What is served on this kernel afterwards is the
     * next process.
     */
    public void kill() {
        driver.kill();
    }

    // ------------------------------------------------------------------------------------------- what must be so

    /**
     * Every request that left the kernel was answered, once, and has ended; and none waits.
     *
     * @throws AssertionError if not, naming the queue, or the request that was answered twice
     */
    public void assertEveryRequestAnswered() {
        settle();
        List<String> open = new ArrayList<>();
        for (DriverDevice device : driver.devices()) {
            for (DriverQueue queue : device.queues()) {
                if (queue.inFlight() > 0) open.add(queue.inFlight() + " requests of " + queue + " are not answered");
                if (queue.lingering() > 0) {
                    open.add(queue.lingering() + " requests of " + queue + " are answered, but their pages are still in a ring's "
                            + "table of buffers, or used by an operation");
                }
                if (queue.waiting() > 0) open.add(queue.waiting() + " requests of " + queue + " wait in the kernel");
            }
        }
        if (!open.isEmpty()) throw new AssertionError(String.join("; ", open));
    }

    /**
     * No device is left of those that were started, and so no character device is open and nothing of it mapped.
     *
     * @throws AssertionError if one is, saying what holds it
     */
    public void assertNothingIsLeft() {
        settle();
        if (!driver.devices().isEmpty()) throw new AssertionError("left: " + driver.devices());
    }

    /** What devices take of this kernel: compare it before and after. */
    public String footprint() {
        settle();
        return driver.devices() + ", descriptors: " + kernel.openDescriptors();
    }

    /** Every rule that was broken so far, by whom: also those that were thrown already. */
    public List<String> breaches() {
        return driver.allBreaches();
    }

    /**
     * Frees what this kernel itself needs.
     *
     * @throws AssertionError if a server broke a rule and nobody was told of that yet
     */
    @Override
    public void close() {
        driver.close();
        settle();
    }

    @Override
    public String toString() {
        return "MemoryUblk" + driver.devices();
    }
}
