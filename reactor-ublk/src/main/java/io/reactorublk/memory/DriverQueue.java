package io.reactorublk.memory;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import io.reactorublk.abi.ublk_batch_io;
import io.reactorublk.abi.ublk_cmd_h;
import io.reactorublk.abi.ublk_elem_header;
import io.reactorublk.abi.ublksrv_io_desc;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.memory.CharacterDevice.Command;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One hardware queue in the driver: a FIFO of tags that are ready, fetch commands that wait for some, at most one of them
 * active. Mirrors {@code struct ublk_queue} with {@code UBLK_F_BATCH_IO}.
 *
 * <pre>
 *   block layer ──queueRequest──► FIFO ──dispatch──► server ──commit──► ended, or again to the FIFO
 * </pre>
 */
final class DriverQueue {

    /** {@code MAX_NR_TAG} of {@code __ublk_batch_dispatch}: tags in one completion. */
    private static final int MAX_TAGS = 128;
    private static final int TAG_BYTES = Short.BYTES;
    private static final long DESCRIPTOR_BYTES = ublksrv_io_desc.layout().byteSize();
    private static final int HEADER_BYTES = (int) ublk_elem_header.layout().byteSize();
    /** A write of which nothing was ever done: the driver would send it for ever, we send it so often. */
    private static final int PATIENCE = 100;

    /** What a PREP or COMMIT brings: {@code struct ublk_elem_header}s, each followed by an address if the driver copies. */
    private record Batch(MemorySegment elements, int flags) {

        static int stride(int flags) {
            return (flags & ublk_cmd_h.UBLK_BATCH_F_HAS_BUF_ADDR()) != 0 ? HEADER_BYTES + Long.BYTES : HEADER_BYTES;
        }

        int count() {
            return (int) (elements.byteSize() / stride(flags));
        }

        private long at(int element) {
            return (long) element * stride(flags);
        }

        int tag(int element) {
            return Short.toUnsignedInt(elements.get(JAVA_SHORT, at(element) + ublk_elem_header.tag$offset()));
        }

        int result(int element) {
            return elements.get(JAVA_INT, at(element) + ublk_elem_header.result$offset());
        }

        long address(int element) {
            return stride(flags) == HEADER_BYTES ? 0 : elements.get(JAVA_LONG, at(element) + HEADER_BYTES);
        }

        int index(int element) {
            return Short.toUnsignedInt(elements.get(JAVA_SHORT, at(element) + ublk_elem_header.buf_index$offset()));
        }

        boolean hasFallback() {
            return (flags & ublk_cmd_h.UBLK_BATCH_F_AUTO_BUF_REG_FALLBACK()) != 0;
        }
    }

    /** {@code struct ublk_batch_fetch_cmd}. */
    private static final class Fetch {

        final Command command;
        boolean ended;

        Fetch(Command command) {
            this.command = command;
        }
    }

    private final DriverDevice device;
    private final int id;
    private final Slot[] slots;
    private final Deque<Integer> fifo = new ArrayDeque<>();
    private final Deque<Fetch> parked = new ArrayDeque<>();
    private final MemorySegment descriptors;
    private final List<MemorySegment> mappings = new ArrayList<>();
    private @Nullable Fetch active;
    private boolean forceAbort;
    private boolean canceling;
    private boolean failing;
    private int ready;
    private long delivered;
    private long answered;

    DriverQueue(DriverDevice device, int id, int depth) {
        this.device = device;
        this.id = id;
        descriptors = DriverDevice.zeroes(depth * DESCRIPTOR_BYTES);
        slots = new Slot[depth];
        for (int tag = 0; tag < depth; tag++) slots[tag] = new Slot();
    }

    DriverDevice device() {
        return device;
    }

    int id() {
        return id;
    }

    int depth() {
        return slots.length;
    }

    /** Tags that nobody has fetched. */
    int waiting() {
        return fifo.size();
    }

    /** Tags that the server has. */
    int inFlight() {
        int count = 0;
        for (Slot slot : slots) if (slot.ownedByServer) count++;
        return count;
    }

    /** Tags that were committed and have not ended, because somebody still refers to their pages. */
    int lingering() {
        int count = 0;
        for (Slot slot : slots) if (slot.isLingering()) count++;
        return count;
    }

    /** Whether pages of this queue are still in a table, or operations on them go on. */
    boolean isReferred() {
        for (Slot slot : slots) if (slot.isReferred()) return true;
        return false;
    }

    long delivered() {
        return delivered;
    }

    long answered() {
        return answered;
    }

    // ------------------------------------------------------------------------------------------- from the block layer

    /** {@code ublk_batch_queue_rq}: describes the request and queues its tag; {@code last} of a batch wakes the server. */
    void queueRequest(IoRequest request, boolean last) {
        if (failing) {                                                 // ublk_prep_req: BLK_STS_TARGET
            device.end(this, request, Errno.EREMOTEIO.result());
            return;
        }
        if (canceling && device.holds() && !forceAbort) {              // __ublk_abort_rq
            device.hold(this, request);
            return;
        }
        if (canceling || forceAbort) {
            device.end(this, request, Errno.EIO.result());
            return;
        }
        Slot slot = slots[request.tag];
        slot.request = request;
        device.started(request);
        request.place = device.placeOf(request);
        describe(request, slot.address, 0);
        fifo.add(request.tag);
        if (last) kick();
    }

    /** {@code ublk_init_iod}. */
    private void describe(IoRequest request, long address, int moreFlags) {
        int flags = request.flags | moreFlags | (request.isShared() ? ublk_cmd_h.UBLK_IO_F_SHMEM_ZC() : 0);
        long at = request.tag * DESCRIPTOR_BYTES;
        MemorySegment descriptor = descriptors.asSlice(at, ublksrv_io_desc.layout());
        ublksrv_io_desc.op_flags(descriptor, request.operation | flags);
        ublksrv_io_desc.nr_sectors(descriptor, (int) (request.length() / DiskLimits.SECTOR_BYTES));
        ublksrv_io_desc.start_sector(descriptor, request.operation == IoRequest.FLUSH ? -1 : request.offset() / DiskLimits.SECTOR_BYTES);
        ublksrv_io_desc.addr(descriptor, request.isShared() ? request.place : address);
        for (MemorySegment mapping : mappings) {
            if (mapping.scope().isAlive()) MemorySegment.copy(descriptor, 0, mapping, at, DESCRIPTOR_BYTES);
        }
    }

    /** {@code ublk_ch_mmap}: from now on the server sees descriptors here, and those that are there already. */
    void map(MemorySegment mapping) {
        mappings.removeIf(old -> !old.scope().isAlive());
        MemorySegment.copy(descriptors, 0, mapping, 0, descriptors.byteSize());
        mappings.add(mapping);
    }

    void unmap() {
        mappings.clear();
    }

    boolean isMapped() {
        return mappings.stream().anyMatch(mapping -> mapping.scope().isAlive());
    }

    /** Wakes the oldest fetch, in the task that gave it: {@code __ublk_acquire_fcmd}, {@code ublk_batch_tw_cb}. */
    void kick() {
        Fetch fetch = acquire();
        if (fetch != null) fetch.command.inTaskWork(() -> dispatch(fetch));
    }

    private @Nullable Fetch acquire() {
        if (active != null || fifo.isEmpty()) return null;
        active = parked.peekFirst();                                   // always the head: the list is never rotated
        return active;
    }

    // ------------------------------------------------------------------------------------------- to the server

    /** {@code ublk_batch_attach}: parks a fetch, and serves the oldest one at once if tags wait. */
    void fetch(Command command) {
        MemorySegment payload = command.payload();
        boolean valid = command.isMultishot() && ublk_batch_io.flags(payload) == 0 && ublk_batch_io.elem_bytes(payload) == TAG_BYTES;
        if (!valid) throw new KernelException("ublk_validate_batch_fetch_cmd", Errno.EINVAL);
        if (forceAbort || canceling) throw new KernelException("ublk_batch_attach", Errno.ENODEV);
        Fetch fetch = new Fetch(command);
        parked.addLast(fetch);
        command.onCancel(() -> cancel(fetch));
        Fetch oldest = acquire();
        if (oldest == fetch) {
            dispatch(fetch);
        } else if (oldest != null) {
            oldest.command.inTaskWork(() -> dispatch(oldest));
        }
    }

    /** {@code ublk_batch_dispatch}: until no tag waits, or there is nowhere to put one. */
    private void dispatch(Fetch fetch) {
        if (fetch.ended) return;                                       // its ring closed before the task work came
        while (!fifo.isEmpty()) {
            int result = dispatchOnce(fetch);
            if (result == 0) break;
            if (result < 0) {
                end(fetch, result);
                return;
            }
        }
        active = null;
    }

    /** {@code ublk_batch_deinit_fetch_buf}. Promotes no other fetch: the tags wait for the next request or the next fetch. */
    private void end(Fetch fetch, int result) {
        fetch.ended = true;
        parked.remove(fetch);
        if (active == fetch) active = null;
        fetch.command.complete(result);
    }

    /** {@code __ublk_batch_dispatch}: one completion with some tags. Positive, 0 if there was no room for one, or -errno. */
    private int dispatchOnce(Fetch fetch) {
        MemorySegment lent = fetch.command.selectBuffer();
        if (lent == null) return Errno.ENOBUFS.result();
        int room = (int) Math.min(MAX_TAGS, lent.byteSize() / TAG_BYTES);
        if (room == 0) return 0;
        int wanted = device.driver().chance().upTo(Math.min(room, fifo.size()));   // as if the others had come a moment later
        List<Integer> tags = new ArrayList<>(wanted);
        for (int i = 0; i < wanted; i++) {
            int tag = fifo.removeFirst();
            if (start(fetch, tag)) tags.add(tag);
        }
        if (tags.isEmpty()) return wanted;                             // all of them were filtered out
        for (int i = 0; i < tags.size(); i++) lent.set(JAVA_SHORT, (long) i * TAG_BYTES, tags.get(i).shortValue());
        if (fetch.command.post(tags.size() * TAG_BYTES)) {
            delivered += tags.size();
            return tags.size();
        }
        for (int tag : tags) {                                         // the completion queue is full: put them back, at the end
            slots[tag].takeBack(fetch.command);
            fifo.addLast(tag);
        }
        return Errno.ENOBUFS.result();
    }

    /** {@code __ublk_batch_prep_dispatch}: readies the bytes. False if the server does not get it this time. */
    private boolean start(Fetch fetch, int tag) {
        Slot slot = slots[tag];
        IoRequest request = slot.request();
        slot.start();
        boolean delivers = !request.hasData() || (device.copies() ? load(fetch, slot) : lend(fetch, slot));
        if (delivers) {
            slot.ownedByServer = true;
        } else {
            slot.abort();
        }
        return delivers;
    }

    /**
     * {@code ublk_start_io}: the bytes of a WRITE are copied here, unless the server has them before it. If that cannot be the
     * request comes again, later.
     */
    private boolean load(Fetch fetch, Slot slot) {
        IoRequest request = slot.request();
        if (request.isShared()) return true;
        device.driver().poison().lift(slot.address);
        if (request.operation == IoRequest.READ) return true;
        try {
            MemorySegment memory = fetch.command.memory(slot.address, request.length());
            MemorySegment.copy(request.memory(), request.from(), memory, 0, request.length());
            return true;
        } catch (KernelException e) {                                  // nothing was copied
            device.requeue(this, request);
            return false;
        }
    }

    /** The bytes stay here. Of a READ nobody has written there is a pattern to be seen: there may be anything on Linux. */
    private boolean lend(Fetch fetch, Slot slot) {
        IoRequest request = slot.request();
        if (request.operation == IoRequest.READ && !request.isShared()) request.bytes().fill(Poison.PATTERN);
        if (!device.registers() || slot.autoRegister(fetch.command)) return true;
        if (slot.fallback) {                                           // ublk_auto_buf_reg_fallback
            describe(request, 0, ublk_cmd_h.UBLK_IO_F_NEED_REG_BUF());
            return true;
        }
        device.end(this, request, Errno.EIO.result());
        return false;
    }

    // ------------------------------------------------------------------------------------------- from the server

    /** {@code ublk_check_batch_cmd}. */
    private Batch batch(Command command) {
        MemorySegment payload = command.payload();
        int count = Short.toUnsignedInt(ublk_batch_io.nr_elem(payload));
        int flags = Short.toUnsignedInt(ublk_batch_io.flags(payload));
        if (count > slots.length) throw new KernelException("ublk_check_batch_cmd", Errno.E2BIG);
        boolean valid = (flags & ~device.batchFlags()) == 0
                && Byte.toUnsignedInt(ublk_batch_io.elem_bytes(payload)) == Batch.stride(flags);
        if (!valid) throw new KernelException("ublk_check_batch_cmd", Errno.EINVAL);
        if (count == 0) return new Batch(MemorySegment.NULL, flags);   // ublk_walk_cmd_buf has nothing to copy
        return new Batch(command.memory(command.address(), (long) count * Batch.stride(flags)), flags);
    }

    /** {@code ublk_handle_batch_prep_cmd}: all or none. */
    int prepare(Command command) {
        Batch batch = batch(command);
        List<Integer> done = new ArrayList<>();
        for (int i = 0; i < batch.count(); i++) {
            Errno refusal = prepare(batch, i);
            if (refusal != null) {
                for (int undone : done) slots[undone].prepared = false;
                return refusal.result();
            }
            done.add(batch.tag(i));
        }
        ready += done.size();
        if (!done.isEmpty() && isReady()) {                            // ublk_queue_reset_io_flags
            canceling = false;
            forceAbort = false;
            failing = false;
        }
        device.checkReady();
        return 0;
    }

    /** {@code ublk_batch_prep_io}. */
    private @Nullable Errno prepare(Batch batch, int element) {
        int tag = batch.tag(element);
        if (tag >= slots.length || (device.copies() && batch.address(element) == 0)) return Errno.EINVAL;
        if (device.isReady()) return Errno.EBUSY;
        if (slots[tag].prepared) return Errno.EINVAL;
        slots[tag].prepared = true;
        arm(slots[tag], batch, element);
        return null;
    }

    /** Where the bytes of the tag's next request go. */
    private static void arm(Slot slot, Batch batch, int element) {
        slot.address = batch.address(element);
        slot.nextIndex = batch.index(element);
        slot.fallback = batch.hasFallback();
    }

    boolean isReady() {
        return ready == slots.length;
    }

    /** {@code ublk_handle_batch_commit_cmd}: in order, until one is refused. Bytes accepted, or what is wrong with the first. */
    int commit(Command command) {
        Batch batch = batch(command);
        for (int i = 0; i < batch.count(); i++) {
            Errno refusal = commit(command, batch, i);
            if (refusal != null) return i == 0 ? refusal.result() : (int) batch.at(i);
        }
        return (int) batch.elements.byteSize();
    }

    /** {@code ublk_batch_commit_io}. */
    private @Nullable Errno commit(Command command, Batch batch, int element) {
        int tag = batch.tag(element);
        if (tag >= slots.length) return Errno.EINVAL;
        Slot slot = slots[tag];
        if (!slot.ownedByServer) {
            device.driver().breaches().add("tag %d of queue %d of device %d was committed, but the server does not have it"
                    .formatted(tag, id, device.id()));
            return Errno.EBUSY;
        }
        if (device.copies() && batch.address(element) == 0) return Errno.EINVAL;
        long before = slot.address;
        arm(slot, batch, element);
        answered++;
        slot.commit(command, batch.result(element), result -> complete(command, slot, result, before));
        return null;
    }

    /** {@code __ublk_complete_rq}. */
    private void complete(Command command, Slot slot, int result, long before) {
        IoRequest request = slot.request();
        long address = slot.address;
        if (!request.hasData() || result < 0) {
            poison(command, request, before, address);
            device.end(this, request, Math.min(result, 0));
            return;
        }
        if (request.isShared()) {                                      // nothing to unmap, and so nobody looks how much was done
            device.end(this, request, result == 0 && request.operation == IoRequest.READ ? Errno.EIO.result() : 0);
            return;
        }
        int done = checked(request, result);
        if (request.operation == IoRequest.READ && device.copies()) {
            try {                                                      // ublk_unmap_io
                MemorySegment.copy(command.memory(address, done), 0, request.memory(), request.from(), done);
            } catch (KernelException e) {
                done = 0;
            }
        }
        poison(command, request, before, address);
        if (done == 0 && (request.operation == IoRequest.READ || ++request.partsOfNothing >= PATIENCE)) {
            if (request.operation == IoRequest.WRITE) device.driver().breaches().add(request + " of " + this + " was answered with 0 bytes again and again: "
                    + "the driver would send it for ever");
            device.end(this, request, Errno.EIO.result());
        } else if (request.advance(done)) {
            device.requeue(this, request);
        } else {
            device.end(this, request, 0);
        }
    }

    private int checked(IoRequest request, int result) {
        if (result <= request.length()) return result;
        device.driver().breaches().add(request + " of " + this + " was answered with " + result + " bytes");
        return (int) request.length();
    }

    /** Only if the request was in it, and the tag keeps it: a server that withdraws it may have reason to leave it to somebody. */
    private void poison(Command command, IoRequest request, long before, long address) {
        if (!device.copies() || !request.hasData() || request.isShared() || before != address) return;
        try {
            device.driver().poison().put(command.memory(address, request.length()), request.name(), this);
        } catch (KernelException e) {
            // The server has freed it: nobody will find anything there.
        }
    }

    // ------------------------------------------------------------------------------------------- where the bytes stay here

    /** {@code ublk_register_io_buf}. */
    int register(Command command, int tag, int index) {
        return slots[tag].register(command, index);
    }

    /** {@code ublk_user_copy}. */
    int copy(List<MemorySegment> pieces, int tag, int at, boolean toRequest) {
        return tag < slots.length ? slots[tag].copy(pieces, at, toRequest) : Errno.EINVAL.result();
    }

    // ------------------------------------------------------------------------------------------- the end

    /** {@code ublk_batch_cancel_queue}: ends what is parked. A fetch that is active at this moment is missed. */
    void abortFetches() {
        Fetch missed = active;
        if (missed == null && !forceAbort && device.driver().chance().once(8)) missed = parked.peekFirst();
        forceAbort = true;
        for (Fetch fetch : new ArrayList<>(parked)) {
            if (fetch != missed) end(fetch, ublk_cmd_h.UBLK_IO_RES_ABORT());
        }
    }

    /** {@code ublk_batch_cancel_fn}: the ring of a fetch closes. */
    private void cancel(Fetch fetch) {
        if (fetch.ended) return;
        device.startCancel();
        end(fetch, ublk_cmd_h.UBLK_IO_RES_ABORT());
    }

    void startCancel() {
        canceling = true;
    }

    void failFast() {
        failing = true;
    }

    /** {@code ublk_abort_queue}: the server is gone, so what it held and what it never saw has failed, or is the next one's. */
    void abortRequests(boolean reissue) {
        List<IoRequest> lost = new ArrayList<>();
        for (Slot slot : slots) if (slot.ownedByServer) lost.add(slot.request());
        for (Integer tag : fifo) lost.add(slots[tag].request());
        fifo.clear();
        for (IoRequest request : lost) {
            slots[request.tag].abort();
            if (reissue) {
                device.hold(this, request);
            } else {
                device.end(this, request, Errno.EIO.result());
            }
        }
    }

    /** {@code ublk_queue_reinit}. */
    void reset() {
        ready = 0;
        for (Slot slot : slots) slot.prepared = false;
    }

    @Override
    public String toString() {
        return "queue " + id + " of device " + device.id();
    }
}
