package io.reactorublk.memory;

import io.reactorublk.abi.ublk_batch_io;
import io.reactorublk.abi.ublk_cmd_h;
import io.reactorublk.abi.ublk_param_basic;
import io.reactorublk.abi.ublk_param_devt;
import io.reactorublk.abi.ublk_params;
import io.reactorublk.abi.ublksrv_ctrl_dev_info;
import io.reactorublk.abi.ublksrv_io_cmd;
import io.reactorublk.abi.ublksrv_io_desc;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.memory.CharacterDevice;
import io.reactorublk.uring.memory.MemoryKernel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * One device: {@code /dev/ublkcN}, its queues and, while it is live, its disk. Mirrors {@code struct ublk_device} and
 * {@code ublk_ch_batch_io_fops}.
 *
 * <pre>
 *   DEAD ──start, all tags prepared──► LIVE ──stopped, or its server is gone──► DEAD
 *                                     ▲  │
 *                 end of the recovery │  │ its server is gone, with recovery
 *                                     │  ▼
 *                         QUIESCED or FAIL_IO ──stopped──► DEAD
 * </pre>
 */
final class DriverDevice implements CharacterDevice {

    private static final long PAGE = 4096;
    /** Who makes unprivileged devices here. */
    private static final int USER = 1000;
    /** {@code blk_mq_init_allocated_queue}. */
    private static final Duration REQUEST_TIMEOUT = Duration.ofSeconds(30);
    private static final List<String> STATES = List.of(", dead", ", live", ", quiesced", ", failing");
    private static final Duration LOOK = Duration.ofMillis(1);
    private static final int PREP = (int) ublk_cmd_h.UBLK_U_IO_PREP_IO_CMDS();
    private static final int FETCH = (int) ublk_cmd_h.UBLK_U_IO_FETCH_IO_CMDS();
    /** {@code UBLK_PARAM_TYPE_ALL} of the driver; it drops others in silence. */
    private static final int PARAM_TYPES = ublk_cmd_h.UBLK_PARAM_TYPE_BASIC() | ublk_cmd_h.UBLK_PARAM_TYPE_DISCARD()
            | ublk_cmd_h.UBLK_PARAM_TYPE_DEVT() | ublk_cmd_h.UBLK_PARAM_TYPE_ZONED() | ublk_cmd_h.UBLK_PARAM_TYPE_DMA_ALIGN()
            | ublk_cmd_h.UBLK_PARAM_TYPE_SEGMENT() | ublk_cmd_h.UBLK_PARAM_TYPE_INTEGRITY();
    private static final int REGISTER = (int) ublk_cmd_h.UBLK_U_IO_REGISTER_IO_BUF();
    private static final int UNREGISTER = (int) ublk_cmd_h.UBLK_U_IO_UNREGISTER_IO_BUF();
    private static final long FIRST_OFFSET = Integer.toUnsignedLong(ublk_cmd_h.UBLKSRV_IO_BUF_OFFSET());
    private static final int COMMIT = (int) ublk_cmd_h.UBLK_U_IO_COMMIT_IO_CMDS();

    private final MemoryUblkDriver driver;
    private final int id;
    private final int depth;
    private final int maxIoBytes;
    private final long flags;
    private final List<DriverQueue> queues = new ArrayList<>();
    private final List<Runnable> whenReady = new ArrayList<>();
    private final List<Runnable> whenFreed = new ArrayList<>();
    private final MemorySegment params = zeroes(ublk_params.layout().byteSize());
    private final SharedPages shared = new SharedPages();
    private final KernelMutex mutex = new KernelMutex();
    private @Nullable DiskLimits limits;
    private @Nullable BlockLayer disk;
    /** The disk that was, for as long as an application has it open. */
    private @Nullable BlockLayer lingering;
    private int state = ublk_cmd_h.UBLK_S_DEV_DEAD();
    private long serverPid = -1;
    private boolean open;
    private boolean wasReady;
    private boolean deleted;
    private boolean freed;

    DriverDevice(MemoryUblkDriver driver, int id, int queueCount, int depth, int maxIoBytes, long flags) {
        this.driver = driver;
        this.id = id;
        this.depth = depth;
        this.maxIoBytes = maxIoBytes;
        this.flags = flags;
        for (int i = 0; i < queueCount; i++) queues.add(new DriverQueue(this, i, depth));
    }

    /** Memory of this driver's own, aligned for every layout. */
    static MemorySegment zeroes(long bytes) {
        return MemorySegment.ofArray(new long[(int) ((bytes + Long.BYTES - 1) / Long.BYTES)]).asSlice(0, bytes);
    }

    private boolean has(long flag) {
        return (flags & flag) != 0;
    }

    /** {@code ublk_dev_need_map_io}: whether the driver copies bytes between requests and the memory of the server. */
    boolean copies() {
        return !has(ublk_cmd_h.UBLK_F_USER_COPY() | ublk_cmd_h.UBLK_F_SUPPORT_ZERO_COPY() | ublk_cmd_h.UBLK_F_AUTO_BUF_REG());
    }

    /** {@code ublk_dev_support_auto_buf_reg}: whether it puts the pages of a request into the ring's table. */
    boolean registers() {
        return has(ublk_cmd_h.UBLK_F_AUTO_BUF_REG());
    }

    /** {@code ublk_dev_support_shmem_zc}. */
    boolean sharesMemory() {
        return has(ublk_cmd_h.UBLK_F_SHMEM_ZC());
    }

    /** {@code UBLK_BATCH_F_*} that a PREP or COMMIT may have. */
    int batchFlags() {
        if (copies()) return ublk_cmd_h.UBLK_BATCH_F_HAS_BUF_ADDR();
        return registers() ? ublk_cmd_h.UBLK_BATCH_F_AUTO_BUF_REG_FALLBACK() : 0;
    }

    MemoryUblkDriver driver() {
        return driver;
    }

    int id() {
        return id;
    }

    /** Of the character device. */
    String path() {
        return "/dev/ublkc" + id;
    }

    boolean isUnprivileged() {
        return has(ublk_cmd_h.UBLK_F_UNPRIVILEGED_DEV());
    }

    List<DriverQueue> queues() {
        return queues;
    }

    /** The disk, while there is one. */
    @Nullable BlockLayer disk() {
        return disk;
    }

    void writeInfo(MemorySegment info) {
        info.fill((byte) 0);
        ublksrv_ctrl_dev_info.nr_hw_queues(info, (short) queues.size());
        ublksrv_ctrl_dev_info.queue_depth(info, (short) depth);
        ublksrv_ctrl_dev_info.state(info, (short) state);
        ublksrv_ctrl_dev_info.max_io_buf_bytes(info, maxIoBytes);
        ublksrv_ctrl_dev_info.dev_id(info, id);
        ublksrv_ctrl_dev_info.ublksrv_pid(info, (int) serverPid);
        ublksrv_ctrl_dev_info.flags(info, flags);
        ublksrv_ctrl_dev_info.owner_uid(info, isUnprivileged() ? USER : 0);
        ublksrv_ctrl_dev_info.owner_gid(info, isUnprivileged() ? USER : 0);
    }

    // ------------------------------------------------------------------------------------------- the control plane

    /** {@code ublk_ctrl_set_params}. */
    void setParams(MemorySegment given) {
        if (isUsed()) throw new KernelException("ublk_ctrl_set_params", Errno.EACCES);
        limits = null;
        params.asSlice(0, given.byteSize()).copyFrom(given);
        ublk_params.types(params, ublk_params.types(params) & PARAM_TYPES);
        try {
            limits = DiskLimits.of(params, maxIoBytes);
        } catch (KernelException e) {
            ublk_params.types(params, 0);
            throw e;
        }
    }

    /** {@code ublk_ctrl_get_params}: what was set, and the numbers of the devices. */
    MemorySegment params() {
        ublk_params.types(params, ublk_params.types(params) | ublk_cmd_h.UBLK_PARAM_TYPE_DEVT());
        ublk_param_devt.char_minor(ublk_params.devt(params), id);
        return params;
    }

    /** {@code ublk_ctrl_set_size}. */
    void resize(long sectors) {
        if (disk == null) throw new KernelException("ublk_ctrl_set_size", Errno.ENODEV);
        ublk_param_basic.dev_sectors(ublk_params.basic(params), sectors);
        disk.resize(sectors * DiskLimits.SECTOR_BYTES);
    }

    /** {@code ublk_ctrl_reg_buf}, {@code ublk_ctrl_unreg_buf}: once no request is under way, and while none begins. */
    void changeShared(Consumer<SharedPages> change) {
        mutex.lock(() -> {                                             // ublk_lock_buf_tree
            BlockLayer live = disk;
            if (live == null) {
                change.accept(shared);
                mutex.unlock();
                return;
            }
            live.freeze(() -> {
                change.accept(shared);
                live.thaw();
                mutex.unlock();
            });
        });
    }

    /** Where in registered memory the bytes of a request are, or {@link SharedPages#NOWHERE}. */
    long placeOf(IoRequest request) {
        return shared.find(request);
    }

    /** {@code ublk_ctrl_start_dev}, up to where it waits for all tags. */
    void awaitReady(Runnable then) {
        if (limits == null) throw new KernelException("ublk_ctrl_start_dev", Errno.EINVAL);
        whenReady.add(then);
        checkReady();
    }

    void stopAwaiting(Runnable then) {
        whenReady.remove(then);
        whenFreed.remove(then);
    }

    /** {@code ublk_mark_io_ready}. */
    void checkReady() {
        wasReady |= queues.stream().allMatch(DriverQueue::isReady);
        if (!wasReady) return;
        List<Runnable> waiting = new ArrayList<>(whenReady);
        whenReady.clear();
        for (Runnable waiter : waiting) waiter.run();
    }

    /** No tag can be prepared any more. */
    boolean isReady() {
        return queues.stream().allMatch(DriverQueue::isReady);
    }

    /** {@code UB_STATE_USED}, from the start until {@code ublk_free_disk}: until the last application has closed the disk. */
    private boolean isUsed() {
        return disk != null || lingering != null;
    }

    /** {@code ublk_ctrl_start_dev}, once all tags are there. The partition scan is a worker's. */
    int start() {
        if (!isReady()) return Errno.EINVAL.result();                  // it was, but its server has gone since
        if (isUsed()) return Errno.EEXIST.result();
        BlockLayer started = new BlockLayer(driver, java.util.Objects.requireNonNull(limits), queues, this::lastOpenerGone);
        disk = started;
        serve();
        boolean scan = driver.scansPartitions() && !isUnprivileged() && (flags & ublk_cmd_h.UBLK_F_NO_AUTO_PART_SCAN()) == 0;
        if (scan) driver.worker(() -> scanPartitions(started));
        return 0;
    }

    private void serve() {
        state = ublk_cmd_h.UBLK_S_DEV_LIVE();
        serverPid = ProcessHandle.current().pid();
    }

    // ------------------------------------------------------------------------------------------- recovery

    /** {@code ublk_nosrv_should_queue_io}: without a server, whether requests wait for the next one. */
    boolean holds() {
        return has(ublk_cmd_h.UBLK_F_USER_RECOVERY()) && !has(ublk_cmd_h.UBLK_F_USER_RECOVERY_FAIL_IO());
    }

    private boolean awaitsServer() {
        return state == ublk_cmd_h.UBLK_S_DEV_QUIESCED() || state == ublk_cmd_h.UBLK_S_DEV_FAIL_IO();
    }

    /** {@code ublk_ctrl_start_recovery}. */
    void startRecovery() {
        if (!has(ublk_cmd_h.UBLK_F_USER_RECOVERY())) throw new KernelException("ublk_ctrl_start_recovery", Errno.EINVAL);
        if (open || !awaitsServer()) throw new KernelException("ublk_ctrl_start_recovery", Errno.EBUSY);
        wasReady = false;
    }

    /** {@code ublk_ctrl_end_recovery}, once all tags are there: what was held goes to the new server. */
    int endRecovery() {
        if (!has(ublk_cmd_h.UBLK_F_USER_RECOVERY())) return Errno.EINVAL.result();
        if (!awaitsServer()) return Errno.EBUSY.result();
        serve();
        if (disk != null) disk.kickHeld();
        return 0;
    }

    /** Looks for a table in the first page, and finds none: nothing comes of it, whatever it reads. */
    private static void scanPartitions(BlockLayer disk) {
        int length = (int) Math.min(PAGE, disk.limits().sizeBytes());
        MemorySegment page = MemorySegment.ofArray(new byte[length]);
        disk.submit(List.of(IoRequest.transfer(IoRequest.READ, 0, 0, page, 0, length, errno -> {})));
    }

    /** {@code ublk_stop_dev}: waits for every request to be answered, then ends the fetches. */
    void stop(Runnable whenStopped) {
        mutex.lock(() -> deleteDisk(() -> {
            mutex.unlock();
            for (DriverQueue queue : queues) queue.abortFetches();
            whenStopped.run();
        }));
    }

    private void deleteDisk(Runnable whenGone) {
        BlockLayer live = disk;
        if (live == null) {
            whenGone.run();
            return;
        }
        live.delete(() -> {
            if (disk == live) {
                disk = null;
                state = ublk_cmd_h.UBLK_S_DEV_DEAD();
                serverPid = -1;
                if (live.openers() > 0) lingering = live;
            }
            whenGone.run();
        });
    }

    /** {@code ublk_remove}: takes the character device away; the number is free when the last reference is gone. */
    void remove(@Nullable Runnable then) {
        if (!deleted) driver.unplug(this);
        deleted = true;
        if (then != null) whenFreed.add(then);
        checkFreed();
    }

    private void lastOpenerGone() {
        lingering = null;
        checkFreed();
    }

    /** {@code ublk_cdev_rel}. Of a mapping that is still there nobody will tell us, so that is looked for. */
    private void checkFreed() {
        if (freed || !deleted || open || lingering != null) return;
        if (isMapped()) {
            driver.workerAfter(LOOK, this::checkFreed);
            return;
        }
        freed = true;
        driver.forget(this);
        for (Runnable waiter : whenFreed) waiter.run();
        whenFreed.clear();
    }

    /** The process that had it mapped is gone, and all it had mapped. */
    void unmap() {
        for (DriverQueue queue : queues) queue.unmap();
    }

    boolean isMapped() {
        return queues.stream().anyMatch(DriverQueue::isMapped);
    }

    boolean isOpen() {
        return open;
    }

    // ------------------------------------------------------------------------------------------- requests

    /** {@code blk_mq_start_request}: the clock of a request begins to run, if its end means anything to this device. */
    void started(IoRequest request) {
        int start = ++request.starts;
        if (!isUnprivileged()) return;
        driver.killUnless(REQUEST_TIMEOUT, () -> request.ended || request.starts != start, request.toString());
    }

    void end(DriverQueue queue, IoRequest request, int result) {
        java.util.Objects.requireNonNull(disk).end(queue, request, result);
    }

    /** Until the next server is there. */
    void hold(DriverQueue queue, IoRequest request) {
        java.util.Objects.requireNonNull(disk).hold(queue, request);
    }

    void requeue(DriverQueue queue, IoRequest request) {
        java.util.Objects.requireNonNull(disk).requeue(queue, request);
    }

    /** {@code ublk_start_cancel}: the server is about to go, and what comes now fails. */
    void startCancel() {
        if (disk != null) for (DriverQueue queue : queues) queue.startCancel();
    }

    // ------------------------------------------------------------------------------------------- the character device

    @Override
    public OpenFile open(MemoryKernel kernel) {
        if (deleted) throw new KernelException("open /dev/ublkc" + id, Errno.ENOENT);
        if (open) throw new KernelException("open /dev/ublkc" + id, Errno.EBUSY);
        open = true;
        return new OpenCharDevice(kernel);
    }

    private final class OpenCharDevice implements OpenFile {

        private final MemoryKernel kernel;

        OpenCharDevice(MemoryKernel kernel) {
            this.kernel = kernel;
        }

        /** {@code ublk_ch_mmap}: where a queue's descriptors lie does not depend on the depth; how long they are does. */
        @Override
        public MemorySegment mmap(long offset, long length, Arena arena) {
            long stride = pages(ublk_cmd_h.UBLK_MAX_QUEUE_DEPTH() * ublksrv_io_desc.layout().byteSize());
            long queue = offset / stride;
            boolean valid = offset % stride == 0 && queue < queues.size() && length == pages(depth * ublksrv_io_desc.layout().byteSize());
            if (!valid) throw new KernelException("ublk_ch_mmap", Errno.EINVAL);
            MemorySegment descriptors = kernel.allocate(length, arena);
            queues.get((int) queue).map(descriptors);
            return descriptors;
        }

        private static long pages(long bytes) {
            return (bytes + PAGE - 1) / PAGE * PAGE;
        }

        /** {@code ublk_ch_batch_io_uring_cmd}. */
        @Override
        public void command(Command command) {
            int number = Short.toUnsignedInt(ublk_batch_io.q_id(command.payload()));
            if (number >= queues.size()) throw new KernelException("ublk_ch_batch_io_uring_cmd", Errno.EINVAL);
            DriverQueue queue = queues.get(number);
            int operation = command.operation();
            if (operation == FETCH) {
                queue.fetch(command);
            } else if (operation == COMMIT) {
                command.complete(queue.commit(command));
            } else if (operation == PREP) {
                command.complete(queue.prepare(command));
            } else {
                command.complete(ofTag(command, queue));
            }
        }

        /** {@code ublk_handle_non_batch_cmd}. */
        private int ofTag(Command command, DriverQueue queue) {
            MemorySegment payload = command.payload();
            int tag = Short.toUnsignedInt(ublksrv_io_cmd.tag(payload));
            int index = (int) ublksrv_io_cmd.addr(payload);
            boolean registers = command.operation() == REGISTER;
            if (tag >= depth) return Errno.EINVAL.result();
            if (!registers && command.operation() != UNREGISTER) return Errno.EOPNOTSUPP.result();
            if (!has(ublk_cmd_h.UBLK_F_SUPPORT_ZERO_COPY())) return Errno.EINVAL.result();
            return registers ? queue.register(command, tag, index) : command.unregisterBuffer(index);
        }

        /** {@code ublk_ch_read_iter}: out of a WRITE. */
        @Override
        public int read(List<MemorySegment> into, long offset) {
            return copy(into, offset, false);
        }

        /** {@code ublk_ch_write_iter}: into a READ. */
        @Override
        public int write(List<MemorySegment> from, long offset) {
            return copy(from, offset, true);
        }

        /** {@code ublk_user_copy}. */
        private int copy(List<MemorySegment> pieces, long offset, boolean toRequest) {
            if (state == ublk_cmd_h.UBLK_S_DEV_DEAD() || !has(ublk_cmd_h.UBLK_F_USER_COPY())) return Errno.EACCES.result();
            long place = offset - FIRST_OFFSET;
            int queue = (int) (place >> ublk_cmd_h.UBLK_QID_OFF() & mask(ublk_cmd_h.UBLK_QID_BITS()));
            int tag = (int) (place >> ublk_cmd_h.UBLK_TAG_OFF() & mask(ublk_cmd_h.UBLK_TAG_BITS()));
            int at = (int) (place & mask(ublk_cmd_h.UBLK_IO_BUF_BITS()));
            return queue < queues.size() ? queues.get(queue).copy(pieces, tag, at, toRequest) : Errno.EINVAL.result();
        }

        private static long mask(int bits) {
            return (1L << bits) - 1;
        }

        @Override
        public void release() {
            driver.worker(DriverDevice.this::released);
        }
    }

    /**
     * {@code ublk_ch_release_work_fn}: the server is gone. Without recovery its disk goes too, unless it is going already.
     * Without a disk all stays as it is.
     */
    private void released() {
        boolean referred = queues.stream().anyMatch(DriverQueue::isReferred);   // ublk_check_and_reset_active_ref
        if (referred || isMapped()) {                                  // a mapping keeps the file open
            driver.workerAfter(LOOK, this::released);
            return;
        }
        driver.poison().liftAll(this);
        BlockLayer live = disk;
        if (live == null) {
            closed();
            return;
        }
        startCancel();
        boolean reissues = holds() && has(ublk_cmd_h.UBLK_F_USER_RECOVERY_REISSUE());
        for (DriverQueue queue : queues) queue.abortRequests(reissues);
        mutex.lock(() -> deserted(live));
    }

    private void deserted(BlockLayer live) {
        if (disk != live || !has(ublk_cmd_h.UBLK_F_USER_RECOVERY())) {
            deleteDisk(this::reset);
        } else {
            state = holds() ? ublk_cmd_h.UBLK_S_DEV_QUIESCED() : ublk_cmd_h.UBLK_S_DEV_FAIL_IO();
            if (!holds()) for (DriverQueue queue : queues) queue.failFast();
            reset();
        }
    }

    /** {@code ublk_reset_ch_dev}. */
    private void reset() {
        for (DriverQueue queue : queues) queue.reset();
        wasReady = false;
        mutex.unlock();
        closed();
    }

    private void closed() {
        open = false;
        checkFreed();
    }

    @Override
    public String toString() {
        return "device " + id + STATES.get(state) + (open ? ", open" : "") + (isMapped() ? ", mapped" : "")
                + (deleted ? ", deleted" : "");
    }
}
