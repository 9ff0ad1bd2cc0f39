package io.reactorublk.memory;

import io.reactorublk.uring.Errno;
import io.reactorublk.uring.EventLoop;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.RingConfig;
import io.reactorublk.uring.memory.CharacterDevice;
import io.reactorublk.uring.memory.MemoryKernel;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Queue;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.function.BooleanSupplier;
import java.util.function.LongFunction;
import org.jspecify.annotations.Nullable;

/** The driver of {@code ublk_drv.c} in memory, its batch half: all devices of one kernel, and who controls them. */
final class MemoryUblkDriver implements CharacterDevice {

    private static final String CONTROL = "/dev/ublk-control";
    private static final String CLASS = "/sys/class/ublk-char";

    private final MemoryKernel kernel;
    private final Chance chance;
    private final Breaches breaches = new Breaches();
    private final Poison poison = new Poison(breaches);
    private final KernelMutex controlMutex = new KernelMutex();
    private final TreeMap<Integer, DriverDevice> devices = new TreeMap<>();
    /** Workers of the kernel, and applications: whatever is no part of a server has its turns here. */
    private EventLoop others;
    private final Queue<Runnable> work = new ConcurrentLinkedQueue<>();
    private volatile boolean dying;
    private int cpus = 4;
    private boolean scansPartitions = true;
    private boolean privileged = true;
    private LongFunction<@Nullable Errno> interruptions = operation -> null;

    MemoryUblkDriver(MemoryKernel kernel, Chance chance) {
        this.kernel = kernel;
        this.chance = chance;
        kernel.onUncaught(breaches::add);
        others = startOthers();
        kernel.device(CONTROL, this);
        kernel.directory(CLASS);
    }

    private EventLoop startOthers() {
        return EventLoop.start(kernel, "applications", new RingConfig(8, 16, false));
    }

    Chance chance() {
        return chance;
    }

    Breaches breaches() {
        return breaches;
    }

    Poison poison() {
        return poison;
    }

    KernelMutex controlMutex() {
        return controlMutex;
    }

    int cpus() {
        return cpus;
    }

    void cpus(int count) {
        cpus = count;
    }

    boolean scansPartitions() {
        return scansPartitions;
    }

    void scansPartitions(boolean scans) {
        scansPartitions = scans;
    }

    /** Whether who makes and controls devices has CAP_SYS_ADMIN. */
    boolean isPrivileged() {
        return privileged;
    }

    void withoutPrivileges() {
        privileged = false;
    }

    /** What a signal does to a worker's command before it has done anything: null if there is none. */
    @Nullable Errno interruption(long operation) {
        return interruptions.apply(operation);
    }

    /** Asked for each command of a worker's, by its operation. */
    void interruptions(LongFunction<@Nullable Errno> which) {
        interruptions = which;
    }

    /** Whether this is the character device of some device. */
    boolean hasNode(String path) {
        return devices.values().stream().anyMatch(device -> device.path().equals(path));
    }

    /** {@code ublk_timeout}, of a device whose server is not trusted: SIGKILL, at once and not in anybody's turn. */
    void killUnless(Duration deadline, BooleanSupplier ended, String request) {
        kernel.after(deadline, () -> {
            if (ended.getAsBoolean()) return;
            breaches.add(request + " was not answered within " + deadline.toSeconds() + " s: the kernel kills the server of an "
                    + "unprivileged device for it");
            kill();
        });
    }

    /** Runs something in its own time, never inside of what asks for it. Any thread. */
    void worker(Runnable task) {
        work.add(task);
        if (!dying) others.schedule(this::runNext);
    }

    private void runNext() {
        Runnable next = work.poll();
        if (next != null) next.run();
    }

    void workerAfter(Duration delay, Runnable task) {
        kernel.after(delay, () -> worker(task));
    }

    /** The server dies with its process; what the kernel and applications were about to do they do. */
    void kill() {
        dying = true;
        for (DriverDevice device : devices.values()) poison.liftAll(device);   // what it wrote before is a breach all the same
        kernel.kill();
        for (DriverDevice device : devices.values()) device.unmap();
        others = startOthers();
        dying = false;
        for (int i = work.size(); i > 0; i--) others.schedule(this::runNext);
    }

    /**
     * Looks for what nothing has told of yet, and throws what was broken and not thrown so far.
     *
     * @throws AssertionError the first of it
     */
    void report() {
        poison.check();
        breaches.report();
    }

    List<String> allBreaches() {
        poison.check();
        return breaches.all();
    }

    /** What workers and applications had still to do is left undone. */
    void close() {
        dying = true;
        others.dispose();
    }

    @Override
    public OpenFile open(MemoryKernel opened) {
        return new ControlFile(this);
    }

    // ------------------------------------------------------------------------------------------- devices

    /** {@code ublk_alloc_dev_number}: this one, or the lowest that is free. */
    DriverDevice add(int wantedId, int queues, int depth, int maxIoBytes, long flags) {
        int id = Math.max(wantedId, 0);
        if (wantedId < 0) while (devices.containsKey(id)) id++;
        if (devices.containsKey(id)) throw new KernelException("ublk_alloc_dev_number", Errno.EEXIST);
        DriverDevice device = new DriverDevice(this, id, queues, depth, maxIoBytes, flags);
        devices.put(id, device);
        kernel.device(device.path(), device);
        kernel.directory(CLASS + "/ublkc" + id);
        return device;
    }

    /**
     * The device with this number.
     *
     * @throws KernelException ENODEV if there is none
     */
    DriverDevice device(int id) {
        DriverDevice device = devices.get(id);
        if (device == null) throw new KernelException("ublk device " + id, Errno.ENODEV);
        return device;
    }

    @Nullable DriverDevice deviceIfThere(int id) {
        return devices.get(id);
    }

    Collection<DriverDevice> devices() {
        return devices.values();
    }

    /** {@code cdev_device_del}. */
    void unplug(DriverDevice device) {
        kernel.remove(device.path());
        kernel.remove(CLASS + "/ublkc" + device.id());
    }

    void forget(DriverDevice device) {
        devices.remove(device.id(), device);
    }
}
