package io.reactorublk;

import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import io.reactorublk.abi.ublk_cmd_h;
import io.reactorublk.abi.ublksrv_io_cmd;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.EventLoop;
import io.reactorublk.uring.IoBuffer;
import io.reactorublk.uring.Kernel;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.Ring;
import io.reactorublk.uring.Sqe;
import io.reactorublk.uring.UringFile;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.BitSet;
import java.util.Map;
import java.util.Objects;
import java.util.Queue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;

/**
 * Bytes in all modes but {@link DataMode#COPY}: they stay in the kernel, and are reached through the character device, by
 * {@code pread(2)} and {@code pwrite(2)} at an offset that names them, or as pages in a ring's table of buffers.
 *
 * <pre>
 *   offset:   63      53 52        41 40     25 24       0
 *            +----------+------------+---------+----------+
 *            |    0     |   queue    |   tag   |   byte   |  + 2 GiB       UBLKSRV_IO_BUF_OFFSET
 *            +----------+------------+---------+----------+
 *
 *   table:    0 ... depth                 pages of the request with this tag            (ZERO_COPY)
 *             depth ... 2 * depth         the same, once a lost target knows the first
 *             2 * depth ...               the same for the other queues of the loop
 *             ...                         for one operation each
 * </pre>
 *
 * The driver holds a request until the last reference to its pages is gone, so an answer that comes too early corrupts
 * nothing. Mirrors {@code ublk_ch_read_iter}, {@code ublk_register_io_buf} and {@code ublk_auto_buf_reg}.
 */
final class CharDeviceBuffers extends DataBuffers {

    private static final long FIRST_OFFSET = Integer.toUnsignedLong(ublk_cmd_h.UBLKSRV_IO_BUF_OFFSET());
    private static final int REGISTER = (int) ublk_cmd_h.UBLK_U_IO_REGISTER_IO_BUF();
    private static final int UNREGISTER = (int) ublk_cmd_h.UBLK_U_IO_UNREGISTER_IO_BUF();
    /** {@code IORING_MAX_REG_BUFFERS}. */
    private static final int MAX_TABLE = 16384;
    /** Places for each tag, see above. */
    private static final int NAMED_EACH = 2;
    private static final int MIN_PIECE_BYTES = 4096;

    private final DataMode mode;
    private final int depth;
    private final int bytesPerTag;
    private final MemorySegment memory;
    private final BitSet quarantined = new BitSet();
    /** For {@link DataMode#LATE_COPY}, by size, a power of two: as many as were needed at a time. */
    private final Map<Integer, Queue<MemorySegment>> spare = new ConcurrentHashMap<>();
    private final Kernel kernel;
    private int charDevice;
    private int queueId;
    private int firstIndex;
    /** For READs that nobody fills, where requests have no memory. Made when there is one; on the loop. */
    private @Nullable MemorySegment zeroes;
    private @Nullable UringFile requests;
    private @Nullable Ring ring;

    CharDeviceBuffers(DataMode mode, Kernel kernel, int depth, int bytesPerTag, Arena arena) {
        this.mode = mode;
        this.kernel = kernel;
        this.depth = depth;
        this.bytesPerTag = bytesPerTag;
        memory = mode.hasMemory() ? QueueMemory.locked(kernel, (long) depth * bytesPerTag, arena) : MemorySegment.NULL;
    }

    @Override
    void attach(EventLoop loop, int charDevice, int queueId, int place, int queues) {
        this.charDevice = charDevice;
        this.queueId = queueId;
        ring = loop.ring();
        requests = UringFile.borrow(loop, Path.of("/dev/ublkc"), charDevice);
        if (mode.hasMemory() || mode == DataMode.LATE_COPY) return;
        firstIndex = named(mode, place * depth);
        int named = named(mode, queues * depth);
        if (place == 0) loop.ring().registerBuffers(named, Math.min(MAX_TABLE - named, 8 * depth * queues));
    }

    /** @throws IllegalArgumentException if the table of a ring has no room for so many tags */
    static void requireTable(DataMode mode, int tags) {
        if (named(mode, tags) >= MAX_TABLE) {
            throw new IllegalArgumentException(tags + " requests in flight on one loop: in DataMode." + mode + " "
                    + (MAX_TABLE / NAMED_EACH - 1) + " are possible; use more loops, or less depth");
        }
    }

    private static int named(DataMode mode, int tags) {
        return mode == DataMode.ZERO_COPY ? NAMED_EACH * tags : 0;
    }

    @Override
    Mono<Void> detach() {
        return requests == null ? Mono.empty() : requests.close();
    }

    @Override
    IoBuffer buffer(BlockRequest request, @Nullable EventLoop loop, boolean step) {
        int length = (int) request.length();
        return switch (mode) {
            case COPY, USER_COPY -> {
                MemorySegment bytes = bytes(request, length);
                yield new IoBuffer.Segment(bytes, request.owner(bytes.address(), step));
            }
            case LATE_COPY -> throw new UnsupportedOperationException("the bytes of " + request
                    + " are not copied before somebody asks for them; use look(), fill() or another DataMode");
            case ZERO_COPY -> request.needsRegistration() || (loop != null && loop.ring() != ring)
                    ? new IoBuffer.Pages(new RequestPages(request, step), 0, length)
                    : new IoBuffer.Fixed(Objects.requireNonNull(ring), firstIndex + request.tag(), 0, length, request.owner(0, step));
            case LATE_ZERO_COPY -> new IoBuffer.Pages(new RequestPages(request, step), 0, length);
        };
    }

    private MemorySegment bytes(BlockRequest request, int length) {
        return memory.asSlice((long) request.tag() * bytesPerTag, length);
    }

    /** The two commands for the pages of one request. */
    private final class RequestPages implements IoBuffer.Registrar {

        private final BlockRequest request;
        private final IoBuffer.Owner bytes;

        RequestPages(BlockRequest request, boolean step) {
            this.request = request;
            bytes = request.owner(0, step);
        }

        @Override
        public void begin() {
            bytes.begin();
        }

        @Override
        public void end(IoBuffer part, int result, boolean cancelled) {
            bytes.end(part, result, cancelled);
        }

        @Override
        public void register(Sqe sqe, int index) {
            write(sqe.command(charDevice, REGISTER), index);
        }

        @Override
        public void unregister(Sqe sqe, int index) {
            write(sqe.command(charDevice, UNREGISTER), index);
        }

        private void write(Sqe sqe, int index) {
            MemorySegment payload = sqe.payload(ublksrv_io_cmd.layout().byteSize());
            payload.set(JAVA_SHORT, ublksrv_io_cmd.q_id$offset(), (short) queueId);
            payload.set(JAVA_SHORT, ublksrv_io_cmd.tag$offset(), (short) request.tag());
            payload.set(JAVA_LONG, ublksrv_io_cmd.addr$offset(), index);
        }

        @Override
        public String toString() {
            return "pages of " + request;
        }
    }

    @Override
    boolean areVisible() {
        return mode.hasMemory();
    }

    @Override
    boolean hasBuffers() {
        return mode != DataMode.LATE_COPY;
    }

    /** No more than twice what is asked for: a request may be split into many small parts. */
    @Override
    MemorySegment takeMemory(int length) {
        int bytes = Math.max(MIN_PIECE_BYTES, Integer.highestOneBit(Math.max(1, length - 1)) << 1);
        MemorySegment free = spare(bytes).poll();
        return free != null ? free : kernel.allocate(bytes, Arena.ofAuto());
    }

    @Override
    void giveMemory(MemorySegment memory) {
        spare((int) memory.byteSize()).add(memory);
    }

    private Queue<MemorySegment> spare(int bytes) {
        return spare.computeIfAbsent(bytes, size -> new ConcurrentLinkedQueue<>());
    }

    @Override
    Mono<Void> look(BlockRequest request, int from, MemorySegment into, boolean step) {
        if (mode.hasMemory()) return super.look(request, from, into, step);
        return Mono.defer(() -> {
            requireCopy(request, Operation.WRITE, from, into);
            return pread(request, from, into, request.owner(BlockRequest.ELSEWHERE, step));
        });
    }

    @Override
    Mono<Void> fill(BlockRequest request, int at, MemorySegment bytes, boolean step) {
        if (mode.hasMemory()) return super.fill(request, at, bytes, step);
        return Mono.defer(() -> {
            requireCopy(request, Operation.READ, at, bytes);
            return pwrite(request, at, bytes, request.owner(bytes.address() - at, step));
        });
    }

    @Override
    Mono<Void> load(BlockRequest request) {
        return pread(request, 0, bytes(request, (int) request.length()), request.owner(BlockRequest.ELSEWHERE, false));
    }

    @Override
    Mono<Void> finish(BlockRequest request, int length) {
        MemorySegment bytes = mode.hasMemory() ? bytes(request, length) : null;
        if (request.isUntouched()) {
            if (bytes == null) {
                bytes = zeroes().asSlice(0, length);
            } else {
                bytes.fill((byte) 0);
            }
        }
        return bytes == null ? Mono.empty() : pwrite(request, 0, bytes, IoBuffer.Owner.NOBODY);   // it is not committed before
    }

    private MemorySegment zeroes() {
        MemorySegment known = zeroes;
        if (known == null) zeroes = known = kernel.allocate(bytesPerTag, Arena.ofAuto());
        return known;
    }

    private Mono<Void> pread(BlockRequest request, int from, MemorySegment into, IoBuffer.Owner owner) {
        return whole(into, requests().read(new IoBuffer.Segment(into, owner), offset(request, from)));
    }

    private Mono<Void> pwrite(BlockRequest request, int at, MemorySegment bytes, IoBuffer.Owner owner) {
        return whole(bytes, requests().write(new IoBuffer.Segment(bytes, owner), offset(request, at)));
    }

    private UringFile requests() {
        return Objects.requireNonNull(requests);
    }

    private long offset(BlockRequest request, int from) {
        return FIRST_OFFSET
                + (((long) queueId << ublk_cmd_h.UBLK_QID_OFF()) | ((long) request.tag() << ublk_cmd_h.UBLK_TAG_OFF()) | from);
    }

    private static Mono<Void> whole(MemorySegment memory, Mono<Integer> copied) {
        return copied.handle((bytes, sink) -> {
            if (bytes != memory.byteSize()) sink.error(new KernelException("copy " + memory.byteSize() + " bytes of a request", Errno.EIO));
        });
    }

    @Override
    int index(int tag) {
        if (mode != DataMode.ZERO_COPY) return 0;
        return firstIndex + (quarantined.get(tag) ? depth + tag : tag);
    }

    /** An operation that finds its bytes by the number of their tag, as all those in the kernel can be, must end first. */
    @Override
    boolean isolates() {
        return mode.hasMemory();
    }

    /** Its index names nothing from now on, so that a late operation of the target's finds nothing rather than another request. */
    @Override
    void quarantine(int tag) {
        quarantined.set(tag);
    }
}
