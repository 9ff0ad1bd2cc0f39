package io.reactorublk.memory;

import io.reactorublk.uring.Errno;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Deque;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A disk as the block layer has it: requests wait for a tag of a hardware queue, go to the driver, and end. Nothing is
 * merged. Mirrors {@code struct gendisk} and
 * {@code blk-mq.c}.
 */
final class BlockLayer {

    /** What {@code errno_to_blk_status} knows; everything else reaches an application as EIO. */
    private static final Set<Errno> KNOWN = EnumSet.of(Errno.EOPNOTSUPP, Errno.ETIMEDOUT, Errno.ENOSPC, Errno.ENOLINK,
            Errno.EREMOTEIO, Errno.EBADE, Errno.ENODATA, Errno.EILSEQ, Errno.ENOMEM, Errno.EBUSY, Errno.EAGAIN, Errno.ENODEV,
            Errno.EINVAL, Errno.EOVERFLOW, Errno.ETOOMANYREFS);

    private static final class HardwareQueue {

        final DriverQueue driver;
        final BitSet inUse = new BitSet();
        final Deque<IoRequest> withoutTag = new ArrayDeque<>();

        HardwareQueue(DriverQueue driver) {
            this.driver = driver;
        }
    }

    private final MemoryUblkDriver driver;
    private final List<HardwareQueue> queues = new ArrayList<>();
    /** A request that has a tag and no server. */
    private record Held(DriverQueue queue, IoRequest request) {}

    private final List<Held> held = new ArrayList<>();
    private final List<Runnable> whenDrained = new ArrayList<>();
    private final Runnable lastOpenerGone;
    private DiskLimits limits;
    private int entered;
    private int openers;
    private boolean dead;
    /** Who waits for all requests to end, while no other begins; null if it need not. */
    private @Nullable Runnable whenFrozen;
    private boolean frozen;
    private final List<List<IoRequest>> outside = new ArrayList<>();

    BlockLayer(MemoryUblkDriver driver, DiskLimits limits, List<DriverQueue> driverQueues, Runnable lastOpenerGone) {
        this.driver = driver;
        this.limits = limits;
        this.lastOpenerGone = lastOpenerGone;
        for (DriverQueue queue : driverQueues) queues.add(new HardwareQueue(queue));
    }

    DiskLimits limits() {
        return limits;
    }

    void resize(long sizeBytes) {
        limits = limits.resized(sizeBytes);
    }

    // ------------------------------------------------------------------------------------------- requests

    /** {@code submit_bio} of what one bio was split into, from one CPU and so to one hardware queue. */
    void submit(List<IoRequest> requests) {
        if (frozen) {                                                  // blk_queue_enter
            outside.add(requests);
            return;
        }
        HardwareQueue queue = queues.get(driver.chance().pick(queues.size()));
        for (int i = 0; i < requests.size(); i++) {
            IoRequest request = requests.get(i);
            if (dead) {                                                // bio_queue_enter
                request.whenEnded.accept(Errno.EIO);
                continue;
            }
            entered++;
            boolean last = i == requests.size() - 1;
            if (!issue(queue, request, last)) {
                queue.withoutTag.add(request);
                queue.driver.kick();                                   // ublk_commit_rqs
            }
        }
    }

    /** Gives a request a tag, if one is free, and the request to the driver. */
    private boolean issue(HardwareQueue queue, IoRequest request, boolean last) {
        if (!takeTag(queue, request)) return false;
        queue.driver.queueRequest(request, last || driver.chance().once(4));
        return true;
    }

    private boolean takeTag(HardwareQueue queue, IoRequest request) {
        int free = queue.driver.depth() - queue.inUse.cardinality();
        if (free == 0) return false;
        int tag = queue.inUse.nextClearBit(0);
        for (int skip = driver.chance().pick(free); skip > 0; skip--) tag = queue.inUse.nextClearBit(tag + 1);
        queue.inUse.set(tag);
        request.tag = tag;
        return true;
    }

    /** {@code blk_mq_end_request}: with 0, or with a negative errno. */
    void end(DriverQueue from, IoRequest request, int result) {
        HardwareQueue queue = queues.get(from.id());
        queue.inUse.clear(request.tag);
        request.ended = true;
        request.whenEnded.accept(result >= 0 ? null : statusOf(Errno.of(result)));
        entered--;
        IoRequest next = queue.withoutTag.poll();
        if (next != null) issue(queue, next, true);
        drained();
    }

    private static Errno statusOf(Errno errno) {
        return KNOWN.contains(errno) ? errno : Errno.EIO;
    }

    /** {@code blk_mq_requeue_request}: a worker gives it to the driver again. With a scheduler, perhaps under another tag. */
    void requeue(DriverQueue to, IoRequest request) {
        driver.worker(() -> {
            if (driver.chance().once(2)) {
                HardwareQueue queue = queues.get(to.id());
                queue.inUse.clear(request.tag);
                takeTag(queue, request);
            }
            to.queueRequest(request, true);
        });
    }

    /** {@code blk_mq_requeue_request} without a kick: keeps it until {@link #kickHeld}; of a disk that goes it fails. */
    void hold(DriverQueue queue, IoRequest request) {
        if (dead) {
            end(queue, request, Errno.EIO.result());
        } else {
            held.add(new Held(queue, request));
        }
    }

    /** {@code blk_mq_kick_requeue_list}. */
    void kickHeld() {
        for (Held one : held) requeue(one.queue, one.request);
        held.clear();
    }

    /** Requests that wait for the next server. */
    int held() {
        return held.size();
    }

    /** Requests of a queue that wait for a tag. */
    int withoutTag() {
        int count = 0;
        for (HardwareQueue queue : queues) count += queue.withoutTag.size();
        return count;
    }

    // ------------------------------------------------------------------------------------------- life

    /** {@code del_gendisk}: no new requests from now on; calls back when the last one has ended. */
    void delete(Runnable whenGone) {
        dead = true;
        whenDrained.add(whenGone);
        List<Held> nobodys = new ArrayList<>(held);
        held.clear();
        for (Held one : nobodys) end(one.queue, one.request, Errno.EIO.result());
        drained();
    }

    /** {@code blk_mq_freeze_queue}: calls back when the last request has ended. What comes from now on waits for {@link #thaw}. */
    void freeze(Runnable then) {
        frozen = true;
        whenFrozen = then;
        drained();
    }

    /** {@code blk_mq_unfreeze_queue}. */
    void thaw() {
        frozen = false;
        List<List<IoRequest>> waiting = new ArrayList<>(outside);
        outside.clear();
        for (List<IoRequest> requests : waiting) submit(requests);
    }

    private void drained() {
        if (entered > 0) return;
        Runnable freezer = whenFrozen;
        whenFrozen = null;
        if (freezer != null) {                                         // then nobody deletes it yet: see DriverDevice.mutex
            freezer.run();
            return;
        }
        if (!dead) return;
        List<Runnable> waiting = new ArrayList<>(whenDrained);
        whenDrained.clear();
        for (Runnable waiter : waiting) waiter.run();
    }

    boolean isDead() {
        return dead;
    }

    void open() {
        openers++;
    }

    void close() {
        if (--openers == 0) lastOpenerGone.run();
    }

    int openers() {
        return openers;
    }

    /** Of the I/O of one application, the first failure. */
    static @Nullable Errno first(@Nullable Errno a, @Nullable Errno b) {
        return a == null ? b : a;
    }
}
