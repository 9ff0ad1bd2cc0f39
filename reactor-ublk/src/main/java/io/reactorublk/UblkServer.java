package io.reactorublk;

import io.reactorublk.abi.ublk_cmd_h;
import io.reactorublk.uring.Kernel;
import java.time.Duration;
import java.util.Objects;
import java.util.function.Consumer;
import reactor.core.publisher.Mono;

/**
 * What to serve as a block device, and how. Immutable: each method returns a changed copy.
 *
 * {@snippet file="io/reactorublk/Snippets.java" region="null"}
 *
 * <p>A value that can never work is refused by the method that gets it, with {@link IllegalArgumentException}; what only the
 * kernel can judge is refused by {@link #start}, with {@link io.reactorublk.uring.KernelException}. Mirrors
 * {@code Documentation/block/ublk.rst} and {@code struct ublk_params}.
 */
public final class UblkServer {

    /** The driver keeps the tags of a batch queue in a kfifo, and that holds two at least. */
    public static final int MIN_QUEUE_DEPTH = 2;
    /** {@code UBLK_MAX_QUEUE_DEPTH}. */
    public static final int MAX_QUEUE_DEPTH = 4096;
    /** {@code UBLK_MAX_NR_QUEUES}; a machine grants no more than it has CPUs. */
    public static final int MAX_QUEUES = 4096;

    static final int ANY_ID = -1;

    private static final int PAGE = 4096;
    private static final int MAX_IO_BYTES = 32 << 20;
    private static final long MAX_SECTORS_BYTES = 0xffff_ffffL * BlockRequest.SECTOR_BYTES;
    private static final int MAX_ID = (1 << 20) - 1;

    private final ServerConfig config;

    private UblkServer(ServerConfig config) {
        this.config = config;
    }

    /** A server with everything at its default, which needs a {@link #size} and a {@link #serve target}. */
    public static UblkServer create() {
        return new UblkServer(new ServerConfig());
    }

    private UblkServer with(Consumer<ServerConfig> change) {
        ServerConfig copy = config.copy();
        change.accept(copy);
        requireWholeBlocks(copy);
        if (copy.unprivileged) requireUnprivileged(copy);
        require(copy.control == null || copy.kernel == null || copy.control.kernel() == copy.kernel,
                "the control plane is of another kernel; leave kernel(...) out");
        return new UblkServer(copy);
    }

    ServerConfig config() {
        return config;
    }

    private static void requireWholeBlocks(ServerConfig config) {
        require(config.sizeBytes % config.blockSize == 0,
                ("a device of %d bytes is no whole number of blocks of %d bytes; "
                + "the next smaller size is %d").formatted(
                        config.sizeBytes, config.blockSize, config.sizeBytes - config.sizeBytes % config.blockSize));
        require(config.physicalBlockSize >= config.blockSize,
                ("a physical block of %d bytes is smaller than a logical one of %d; "
                + "set the physical block size first").formatted(config.physicalBlockSize, config.blockSize));
    }

    /** {@code ublk_ctrl_add_dev} refuses the one with a bare EINVAL, and drops the other in silence. */
    private static void requireUnprivileged(ServerConfig config) {
        require(config.dataMode == DataMode.COPY,
                ("an unprivileged device has DataMode.COPY only, not %s: "
                + "the driver lets nobody but root near the pages of others").formatted(config.dataMode));
        require(config.recovery == Recovery.NONE,
                ("an unprivileged device has Recovery.NONE only, not %s: "
                + "what waits for a server that never comes would hang the machine").formatted(config.recovery));
    }

    /** How large the device is, in bytes: a positive multiple of the logical block size. */
    public UblkServer size(long bytes) {
        require(bytes > 0,
                "a device of %d bytes: it must hold at least one block".formatted(bytes));
        return with(c -> c.sizeBytes = bytes);
    }

    /** The smallest addressable unit in bytes: 512 (the default), 1024, 2048 or 4096. */
    public UblkServer blockSize(int bytes) {
        require(bytes >= 512 && bytes <= PAGE && Integer.bitCount(bytes) == 1,
                "a logical block of %d bytes: 512, 1024, 2048 and 4096 are possible".formatted(bytes));
        return with(c -> {
            c.blockSize = bytes;
            c.discardGranularityBytes = Math.max(c.discardGranularityBytes, bytes);
        });
    }

    /** The unit that is written without reading first, in bytes: a power of two, at least the logical block; 4096 by default. */
    public UblkServer physicalBlockSize(int bytes) {
        require(bytes >= 512 && bytes <= 1 << 28 && Integer.bitCount(bytes) == 1,
                "a physical block of %d bytes: powers of two from 512 to %d are possible".formatted(bytes, 1 << 28));
        return with(c -> c.physicalBlockSize = bytes);
    }

    /** How many hardware queues, each with a {@linkplain #loops loop} of its own; 1 by default, at most one per CPU of the machine. */
    public UblkServer queues(int queues) {
        require(queues >= 1 && queues <= MAX_QUEUES,
                "%d queues: from 1 to %d are possible, and no more than CPUs".formatted(queues, MAX_QUEUES));
        return with(c -> c.queues = queues);
    }

    /**
     * How many loops serve the queues, each a thread and a ring: by default as many as there are queues, and never more. With
     * fewer several queues share one, in turn: applications on many CPUs then still have queues of their own, and the server
     * needs fewer threads.
     */
    public UblkServer loops(int loops) {
        require(loops >= 1, "%d loops: at least 1 must serve the queues".formatted(loops));
        return with(c -> c.mostLoops = loops);
    }

    /**
     * How many requests can be in flight on each queue: {@value #MIN_QUEUE_DEPTH} to {@value #MAX_QUEUE_DEPTH}, 128 by
     * default. A target that wants one at a time says so with {@code queue.answer(1, handler)}.
     */
    public UblkServer queueDepth(int depth) {
        require(depth >= MIN_QUEUE_DEPTH && depth <= MAX_QUEUE_DEPTH,
                "a queue depth of %d: from %d to %d is possible; for one request at a time serve with answer(1, handler)"
                        .formatted(depth, MIN_QUEUE_DEPTH, MAX_QUEUE_DEPTH));
        return with(c -> c.queueDepth = depth);
    }

    /**
     * The longest READ or WRITE in bytes: whole pages up to 32 MiB, 512 KiB by default. In copy mode this much memory is
     * locked for each tag of each queue.
     */
    public UblkServer maxIoBytes(int bytes) {
        require(bytes >= PAGE && bytes <= MAX_IO_BYTES && bytes % PAGE == 0,
                "requests of up to %d bytes: whole pages (%d bytes) up to %d are possible".formatted(bytes, PAGE, MAX_IO_BYTES));
        return with(c -> c.maxIoBytes = bytes);
    }

    /**
     * How the bytes of requests travel; by default the driver copies them. The other modes need root, and say in
     * {@link DataMode} what a target can use.
     */
    public UblkServer dataMode(DataMode mode) {
        return with(c -> c.dataMode = Objects.requireNonNull(mode));
    }

    /**
     * A device that can {@linkplain UblkDevice#share share memory} with applications. Their requests then come with bytes this
     * process sees without a copy, in any {@link #dataMode}; all others as the mode says. Needs Linux 7.1.
     */
    public UblkServer sharedMemory() {
        return with(c -> c.sharedMemory = true);
    }

    /**
     * What the memory of a request starts and ends at, in bytes: a power of two from 4 (the default) to {@value #PAGE}. Direct
     * I/O of an application from memory that is not so aligned is refused with EINVAL. Only matters without copies: set what the
     * disk below needs for O_DIRECT, usually its logical block.
     */
    public UblkServer dmaAlignment(int bytes) {
        require(bytes >= 4 && bytes <= PAGE && Integer.bitCount(bytes) == 1,
                "a DMA alignment of %d bytes: powers of two from 4 to %d are possible".formatted(bytes, PAGE));
        return with(c -> c.dmaAlignment = bytes);
    }

    /**
     * In how many pieces of memory a request may be, and how long each can be. By default the block layer sets no limit that
     * would part a request. Only matters without copies: a disk below that takes fewer or shorter pieces would get one request
     * as several.
     *
     * @param count 1 to 65535
     * @param maxBytes of one piece: at least a page, {@value #PAGE}
     */
    public UblkServer maxSegments(int count, int maxBytes) {
        require(count >= 1 && count <= 0xffff, "%d segments: from 1 to 65535 are possible".formatted(count));
        require(maxBytes >= PAGE, "segments of up to %d bytes: a page (%d) is the least".formatted(maxBytes, PAGE));
        return with(c -> {
            c.maxSegments = count;
            c.maxSegmentBytes = maxBytes;
        });
    }

    /** The longest DISCARD in bytes, 1 GiB by default; 0 for a device that has none. */
    public UblkServer maxDiscardBytes(long bytes) {
        requireSectors(bytes, "DISCARD");
        return with(c -> c.maxDiscardBytes = bytes);
    }

    /** The unit in bytes in which discarding frees anything: a power of two, at least the logical block; 4096 by default. */
    public UblkServer discardGranularity(int bytes) {
        require(bytes >= config.blockSize && Integer.bitCount(bytes) == 1,
                "a discard granularity of %d bytes: powers of two from the logical block (%d) on are possible"
                        .formatted(bytes, config.blockSize));
        return with(c -> c.discardGranularityBytes = bytes);
    }

    /** The longest WRITE_ZEROES in bytes, 1 GiB by default; 0 for a device that has none. */
    public UblkServer maxWriteZeroesBytes(long bytes) {
        requireSectors(bytes, "WRITE_ZEROES");
        return with(c -> c.maxWriteZeroesBytes = bytes);
    }

    private static void requireSectors(long bytes, String operation) {
        require(bytes >= 0 && bytes <= MAX_SECTORS_BYTES && bytes % BlockRequest.SECTOR_BYTES == 0,
                "%s of up to %d bytes: multiples of %d up to %d are possible, 0 for none"
                        .formatted(operation, bytes, BlockRequest.SECTOR_BYTES, MAX_SECTORS_BYTES));
    }

    /** A device that refuses writes before they reach the target. */
    public UblkServer readOnly() {
        return with(c -> c.readOnly = true);
    }

    /**
     * A device without a volatile cache: whatever is answered is durable already. <b>Then FLUSH is never sent</b>, so say it
     * only of a target that keeps this promise.
     */
    public UblkServer writeThrough() {
        return with(c -> c.volatileCache = false);
    }

    /** A target that heeds {@link BlockRequest#isFua()}. Without it the kernel sends a FLUSH after such a write. */
    public UblkServer fua() {
        return with(c -> c.fua = true);
    }

    /** A device that is slow to seek: the kernel then sorts its requests. */
    public UblkServer rotational() {
        return with(c -> c.rotational = true);
    }

    /**
     * Lets the threads of the queues run on any CPU. By default each is bound to those whose requests come to its queue, as
     * those of other servers are: the bytes are then in the caches, and the queue's memory on the NUMA node, that will use them.
     * Where that is refused, in a container with other CPUs, there is a warning and nothing else.
     *
     * <p>Threads that a bound thread starts are bound as it is, so a pool whose first task a target gives it on the loop shares
     * the CPUs of that queue. Start such a pool before, or say this. Matters with several {@link #queues} only: a single one has
     * the requests of all CPUs.
     */
    public UblkServer withoutAffinity() {
        return with(c -> c.affinity = false);
    }

    /**
     * A device whose partitions the kernel does not look for when it starts, so that nothing is read which nobody has asked for.
     * {@code blockdev --rereadpt} still finds them, and so does udev when somebody has closed the device after writing to it.
     * Needs Linux 7.0.
     */
    public UblkServer withoutPartitionScan() {
        return with(c -> c.partitionScan = false);
    }

    /**
     * A device that a user without CAP_SYS_ADMIN makes, serves and owns. Without this such a user can make none, and with it root
     * can make none: {@link #start} then fails with {@link IllegalArgumentException}.
     *
     * <p>The administrator has to let users open {@code /dev/ublk-control}, and udev has to give them their devices: the manual
     * has the rules. Until that is done for a new device, {@link #start} waits for it, up to the {@link #controlDeadline}.
     *
     * <p>The driver trusts such a server less. There is only {@link DataMode#COPY} and {@link Recovery#NONE}, nobody looks for
     * partitions, and of all users together there can be 64 devices. <b>A request that is not answered within 30 s costs the
     * process its life</b>: the driver sends SIGKILL. A queue whose target keeps a request for 25 s therefore answers EIO in its
     * place from then on, and so does one that nobody has asked for anything for 25 s while requests wait. That does not help if a
     * target blocks the loop, if the JVM stands still as long, or if requests wait too long in the kernel because of a small demand.
     */
    public UblkServer unprivileged() {
        return with(c -> c.unprivileged = true);
    }

    /** What becomes of the device when this process dies; by default it goes with it. */
    public UblkServer recovery(Recovery recovery) {
        return with(c -> c.recovery = Objects.requireNonNull(recovery));
    }

    /** The device number, N of {@code /dev/ublkbN}; by default the lowest that is free. */
    public UblkServer id(int id) {
        require(id >= 0 && id <= MAX_ID,
                "device number %d: from 0 to %d are possible".formatted(id, MAX_ID));
        return with(c -> c.id = id);
    }

    /** Where to serve; by default {@link Kernel#linux()}. Must be that of the {@linkplain #control control plane}, if there is one. */
    public UblkServer kernel(Kernel kernel) {
        return with(c -> c.kernel = Objects.requireNonNull(kernel));
    }

    /**
     * Whose thread, ring and open {@code /dev/ublk-control} a device is made, changed and ended with; by default each device has
     * all of these for itself. For many devices in one process. Serves on the kernel of that control plane, which must stay
     * open until the device is gone: {@link UblkControl#close} is refused before.
     */
    public UblkServer control(UblkControl control) {
        return with(c -> c.control = Objects.requireNonNull(control));
    }

    /** Who watches the queues; by default nobody, which costs nothing. */
    public UblkServer listener(QueueListener listener) {
        return with(c -> c.listener = listener == QueueListener.NONE ? listener
                : new GuardedListener(Objects.requireNonNull(listener)));
    }

    /** Who watches the commands that start, resize and end the device, whoever's {@link #control} they go by; by default nobody. */
    public UblkServer controlListener(ControlListener listener) {
        return with(c -> c.controlListener = Objects.requireNonNull(listener));
    }

    /**
     * How long a device that stops waits for its target to answer what it has; then these requests get EIO. 10 s by default.
     */
    public UblkServer stopGrace(Duration grace) {
        require(!grace.isNegative(),
                "a grace of %s: it cannot be negative".formatted(grace));
        return with(c -> c.stopGrace = grace);
    }

    /** How long a control command may take before it is reported as stuck. 20 s by default. */
    public UblkServer controlDeadline(Duration deadline) {
        require(deadline.isPositive(),
                "a deadline of %s: it must be positive".formatted(deadline));
        return with(c -> c.controlDeadline = deadline);
    }

    /** What gives the device its behaviour. */
    public UblkServer serve(BlockTarget target) {
        return with(c -> c.target = Objects.requireNonNull(target));
    }

    /**
     * Starts the device: when the {@code Mono} emits, {@code /dev/ublkbN} is there and served. Each subscription starts a
     * device of its own.
     *
     * <p>Fails with {@link io.reactorublk.uring.KernelException} for what the kernel refuses, with the target's own error if
     * it ends before it has subscribed to its queue, with {@link IllegalStateException} if size or target are missing. After
     * a failure, or when cancelled before, nothing is left behind. Emits on the device's control thread; must not be waited
     * for on a loop.
     */
    public Mono<UblkDevice> start() {
        return Mono.defer(() -> {
            if (config.sizeBytes == 0) throw new IllegalStateException("the device has no size; set one with size(bytes)");
            return DeviceLifecycle.start(kernel(), config, target());
        });
    }

    /**
     * Takes over a device whose server died or {@linkplain UblkDevice#handOver handed it over}: when the {@code Mono} emits,
     * what applications asked for meanwhile is being served. Of this server the target, the listener, the data mode and the
     * durations matter; what else the device is, and what becomes of it after the next death, was decided when it was made.
     *
     * <p>Until the kernel has tidied up after the last server it is asked again and again. Fails with {@link
     * io.reactorublk.uring.KernelException}: ENODEV if there is no such device, or only what a server has left that died before its
     * device was there, or while it stopped it: to be {@linkplain UblkControl#remove removed} before that number can be had again;
     * ETIMEDOUT if after the control deadline its server still lives, EINVAL if it was made with {@link Recovery#NONE}; with {@link
     * IllegalArgumentException} if it was made for another {@link DataMode}. After a failure, or when cancelled before, the
     * device waits as it did, and can be recovered. Once recovered it ends like any other.
     */
    public Mono<UblkDevice> recover(int id) {
        return Mono.defer(() -> DeviceLifecycle.recover(kernel(), config, target(), id));
    }

    /**
     * Finds out whether this server could {@link #recover} a device, while another one still serves it: starts a device like it,
     * of zeros, under the lowest number that is free, and removes it. So what this machine would refuse it refuses now, and what
     * a JVM does slowly for the first time it has done before anybody waits for it. The device itself is only looked at, and
     * the target is not touched: whether <em>that</em> works shows when the device is recovered.
     *
     * <p>Completes when nothing of it is left. Fails as {@link #start} and {@link #recover} do, for the same reasons; also for
     * want of memory, since there must be enough for both servers at the same time. Who dies meanwhile leaves the second device
     * behind, dead, for {@link UblkControl#remove}.
     */
    public Mono<Void> rehearse(int id) {
        return Mono.defer(() -> Rehearsal.of(kernel(), config, id));
    }

    private Kernel kernel() {
        Kernel kernel = config.control == null ? config.kernel : config.control.kernel();
        return kernel == null ? Kernel.linux() : kernel;
    }

    private BlockTarget target() {
        BlockTarget target = config.target;
        if (target == null) throw new IllegalStateException("there is nothing to serve; set a target with serve(target)");
        return target;
    }

    private static void require(boolean condition, String complaint) {
        if (!condition) throw new IllegalArgumentException(complaint);
    }

    static {
        assert MAX_QUEUE_DEPTH == ublk_cmd_h.UBLK_MAX_QUEUE_DEPTH() && MAX_QUEUES == ublk_cmd_h.UBLK_MAX_NR_QUEUES();
    }
}
