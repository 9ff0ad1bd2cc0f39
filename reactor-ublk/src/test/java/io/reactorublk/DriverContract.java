package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.reactorublk.abi.ublk_cmd_h;
import io.reactorublk.abi.ublksrv_ctrl_dev_info;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.Kernel;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.Ring;
import io.reactorublk.uring.RingConfig;
import io.reactorublk.uring.abi.linux_h;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Future;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.extension.RegisterExtension;

/**
 * What the ublk driver does, and does not let be done to it: its protocol, spoken raw. The contracts below it are run on the
 * driver of a real kernel and on the one in memory. Where the two disagree, the one in memory is wrong.
 *
 * <p>The test's own thread drives all rings, in {@link #turn}.
 */
abstract class DriverContract {

    static final int BLOCK = 4096;
    static final int MAX_IO = 64 << 10;
    static final long DEVICE_BYTES = 16 << 20;
    /** From here on nobody looks but the test. */
    static final long QUIET = 9 << 20;
    static final int DEPTH = 4;
    static final long PID = ProcessHandle.current().pid();
    /** An address that no process has anything at. */
    static final long NOWHERE = 4096;

    static final long START = ublk_cmd_h.UBLK_U_CMD_START_DEV();
    static final long STOP = ublk_cmd_h.UBLK_U_CMD_STOP_DEV();
    static final long DELETE = ublk_cmd_h.UBLK_U_CMD_DEL_DEV();

    /** A handler that fails is logged. */
    @RegisterExtension
    final LogCapture log = new LogCapture();

    DriverFixture fixture;
    Arena arena;
    RawControl control;
    private String footprint;
    private final List<Ring> rings = new ArrayList<>();
    private final List<RawQueue> queues = new ArrayList<>();
    private final List<Arena> mappings = new ArrayList<>();
    private final List<Integer> open = new ArrayList<>();
    private final List<Integer> devices = new ArrayList<>();
    private final List<Disk> disks = new ArrayList<>();

    /** Each test gets a new one. */
    abstract DriverFixture newFixture();

    @BeforeEach
    final void createFixture() {
        fixture = newFixture();
        footprint = fixture.footprint();
        arena = Arena.ofShared();
        control = new RawControl(kernel(), ring(new RingConfig(8, 16, true)), arena);
    }

    /** The server goes first, so that what it has not answered fails; then applications; then the devices. */
    @AfterEach
    final void nothingIsLeft() {
        for (Ring ring : rings.subList(1, rings.size())) ring.close();
        rings.subList(1, rings.size()).clear();
        closeAll();
        disks.forEach(Disk::close);
        for (int id : devices) assertThat(resultOf(control.send(DELETE, id))).as("delete").isIn(0, Errno.ENODEV.result());
        control.close();
        rings.getFirst().close();
        for (RawQueue queue : queues) queue.slots().close();
        arena.close();
        try {
            fixture.await(() -> fixture.footprint().equals(footprint));
        } catch (RuntimeException e) {
            assertThat(fixture.footprint()).as("what is left").isEqualTo(footprint);
        }
        fixture.close();
        assertThat(log.errors()).as("errors logged").isEmpty();
    }

    final Kernel kernel() {
        return fixture.kernel();
    }

    // ------------------------------------------------------------------------------------------- rings and time

    final Ring ring(RingConfig config) {
        Ring ring = Ring.open(kernel(), config);
        ring.enable();
        rings.add(ring);
        return ring;
    }

    final void close(Ring ring) {
        rings.remove(ring);
        ring.close();
    }

    /** Hands over what is staged, and reaps what is there. */
    final void turn() {
        for (Ring ring : List.copyOf(rings)) {
            ring.enter(false, Ring.FOREVER);
            ring.reap();
        }
    }

    final void await(BooleanSupplier condition) {
        fixture.await(() -> {
            turn();
            return condition.getAsBoolean();
        });
    }

    /** Lets happen whatever can. */
    final void settle() {
        for (int i = 0; i < 3; i++) {
            turn();
            fixture.settle();
        }
        turn();
    }

    final int resultOf(Answer answer) {
        await(answer::isThere);
        return answer.result();
    }

    final Errno errnoOf(Answer answer) {
        await(answer::isThere);
        return answer.errno();
    }

    final <T> T get(CompletableFuture<T> operation) {
        await(operation::isDone);
        try {
            return operation.join();
        } catch (CompletionException e) {
            if (e.getCause() instanceof RuntimeException cause) throw cause;
            throw e;
        }
    }

    final Errno failureOf(CompletableFuture<?> operation) {
        Disk.Failure failure = catchThrowableOfType(Disk.Failure.class, () -> get(operation));
        assertThat(failure).as("failure").isNotNull();
        return failure.errno();
    }

    // ------------------------------------------------------------------------------------------- devices

    /** A device with its parameters, which nobody serves. */
    final int add(int queues, int depth) {
        return add(queues, depth, MAX_IO);
    }

    final int add(int queues, int depth, int maxIoBytes) {
        return add(queues, depth, maxIoBytes, 0);
    }

    final int add(int queues, int depth, int maxIoBytes, long flags) {
        MemorySegment info = control.info(RawControl.AUTOMATIC, queues, depth, flags);
        assertThat(resultOf(control.send(ublk_cmd_h.UBLK_U_CMD_ADD_DEV(), RawControl.AUTOMATIC, info))).isZero();
        int id = ublksrv_ctrl_dev_info.dev_id(info);
        devices.add(id);
        assertThat(resultOf(control.send(ublk_cmd_h.UBLK_U_CMD_SET_PARAMS(), id, control.params(maxIoBytes)))).isZero();
        return id;
    }

    static String charDevice(int id) {
        return "/dev/ublkc" + id;
    }

    final int open(int id) {
        int fd = kernel().open(charDevice(id), linux_h.O_RDWR(), 0);
        open.add(fd);
        return fd;
    }

    /** Again, as soon as the kernel has done with whoever had it open. */
    final int reopen(int id) {
        int[] fd = new int[1];
        await(() -> {
            try {
                fd[0] = open(id);
                return true;
            } catch (KernelException e) {
                assertThat(e.errno()).isEqualTo(Errno.EBUSY);
                return false;
            }
        });
        return fd[0];
    }

    final void close(int fd) {
        open.remove(Integer.valueOf(fd));
        kernel().close(fd);
    }

    /** A queue of an open device, on a ring of its own. */
    final RawQueue queue(int fd, int number, int depth) {
        return queue(fd, number, depth, new RingConfig(32, 512, false));
    }

    final RawQueue queue(int fd, int number, int depth, RingConfig config) {
        Arena mapped = Arena.ofShared();
        mappings.add(mapped);
        RawQueue queue = new RawQueue(kernel(), ring(config), fd, number, depth, arena, mapped);
        queues.add(queue);
        return queue;
    }

    /** The same queue, on another ring. */
    final RawQueue another(RawQueue queue) {
        return queue(open.getLast(), 0, queue.depth());
    }

    /** The server closes the device, all of it. */
    final void closeAll() {
        unmap();
        open.forEach(kernel()::close);
        open.clear();
    }

    /** The server unmaps its descriptors. */
    final void unmap() {
        mappings.forEach(Arena::close);
        mappings.clear();
    }

    /** Prepares, fetches with so many slots lent, starts; returns the fetch, when nobody else looks at the disk any more. */
    final Answer start(int id, RawQueue queue, int slots) {
        Answer prepared = queue.prepare(queue.allTags());
        queue.lend(slots);
        Answer fetch = queue.fetch();
        assertThat(resultOf(prepared)).isZero();
        assertThat(resultOf(control.send(START, id, PID))).isZero();
        Future<?> onlookers = fixture.onlookersGone();
        await(onlookers::isDone);
        return fetch;
    }

    final Disk disk(int id) {
        Disk disk = fixture.disk(id);
        disks.add(disk);
        return disk;
    }

    /** What GET_DEV_INFO says. */
    final MemorySegment info(int id) {
        MemorySegment info = control.memory(RawControl.INFO_BYTES);
        assertThat(resultOf(control.send(ublk_cmd_h.UBLK_U_CMD_GET_DEV_INFO(), id, info))).isZero();
        return info;
    }

    final int state(int id) {
        return ublksrv_ctrl_dev_info.state(info(id));
    }

    // ------------------------------------------------------------------------------------------- requests

    static boolean isQuiet(long offset) {
        return offset >= QUIET && offset < DEVICE_BYTES - (1 << 20);
    }

    /** Where the i-th of some reads or writes goes: apart from one another, so that no two become one request. */
    static long place(int i) {
        return QUIET + i * 2L * BLOCK;
    }

    /** Starts so many reads; they are delivered in any order. */
    final List<CompletableFuture<byte[]>> startReads(Disk disk, int count) {
        List<CompletableFuture<byte[]>> reads = new ArrayList<>();
        for (int i = 0; i < count; i++) reads.add(disk.read(place(i), BLOCK));
        return reads;
    }

    /** So many requests, delivered and not answered. */
    final List<RawQueue.Delivered> awaitDelivered(RawQueue queue, int count) {
        await(() -> queue.delivered.size() >= count);
        assertThat(queue.delivered).hasSize(count);
        return List.copyOf(queue.delivered);
    }

    /** The next one. */
    final RawQueue.Delivered next(RawQueue queue) {
        await(() -> !queue.delivered.isEmpty());
        return queue.delivered.removeFirst();
    }

    /** Answers all that was delivered. */
    final void answerAll(RawQueue queue, int value) {
        RawQueue.Element[] all = queue.delivered.stream().map(request -> queue.done(request, value)).toArray(RawQueue.Element[]::new);
        queue.delivered.clear();
        assertThat(resultOf(queue.commit(all))).isEqualTo(all.length * RawQueue.ELEMENT_BYTES);
    }

    static byte[] filled(int length, int value) {
        byte[] bytes = new byte[length];
        Arrays.fill(bytes, (byte) value);
        return bytes;
    }
}
