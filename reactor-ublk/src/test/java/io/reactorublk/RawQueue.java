package io.reactorublk;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import io.reactorublk.abi.ublk_batch_io;
import io.reactorublk.abi.ublk_cmd_h;
import io.reactorublk.abi.ublk_elem_header;
import io.reactorublk.abi.ublksrv_io_cmd;
import io.reactorublk.uring.CompletionHandler;
import io.reactorublk.uring.Kernel;
import io.reactorublk.uring.Ring;
import io.reactorublk.uring.Sqe;
import io.reactorublk.uring.abi.io_uring_h;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * The server's side of a queue, without what {@link UblkQueue} takes care of: any batch command, with anything in it. Requests
 * that are not the test's own, of whoever looks at new disks, are answered at once.
 */
final class RawQueue {

    static final int PREP = (int) ublk_cmd_h.UBLK_U_IO_PREP_IO_CMDS();
    static final int FETCH = (int) ublk_cmd_h.UBLK_U_IO_FETCH_IO_CMDS();
    static final int COMMIT = (int) ublk_cmd_h.UBLK_U_IO_COMMIT_IO_CMDS();
    static final int COPY = ublk_cmd_h.UBLK_BATCH_F_HAS_BUF_ADDR();
    static final int HEADER_BYTES = (int) ublk_elem_header.layout().byteSize();
    static final int ELEMENT_BYTES = HEADER_BYTES + Long.BYTES;

    /** One element of a PREP or a COMMIT. */
    record Element(int tag, int result, long address) {}

    /** One request as it was delivered. */
    record Delivered(int tag, int operation, long offset, int length, int flags, long address) {}

    private final Kernel kernel;
    private final Ring ring;
    private final Arena arena;
    private final int charDevice;
    private final int id;
    private final int depth;
    private final MemorySegment data;
    private final IoDescriptors descriptors;
    private final FetchBuffer slots;
    /** The test's own requests, in the order of their coming. */
    final List<Delivered> delivered = new ArrayList<>();
    private int mostTags;
    private long fetchId;
    private int elementFlags = COPY;
    private int firstIndex;

    /** @param mapped ends before the device can be deleted */
    RawQueue(Kernel kernel, Ring ring, int charDevice, int id, int depth, Arena arena, Arena mapped) {
        this.kernel = kernel;
        this.ring = ring;
        this.arena = arena;
        this.charDevice = charDevice;
        this.id = id;
        this.depth = depth;
        data = kernel.allocate((depth + 1L) * DriverContract.MAX_IO, arena);
        descriptors = new IoDescriptors(kernel, charDevice, id, depth, mapped);
        slots = new FetchBuffer(ring, 0, FetchBuffer.allocate(kernel, depth, arena), depth);
    }

    /** On a device whose driver does not copy: what its commands say of buffers, and where those of tag 0 are registered. */
    RawQueue withoutCopies(int flags, int firstIndex) {
        elementFlags = flags;
        this.firstIndex = firstIndex;
        return this;
    }

    private int elementBytes() {
        return elementFlags == COPY ? ELEMENT_BYTES : HEADER_BYTES;
    }

    Ring ring() {
        return ring;
    }

    int depth() {
        return depth;
    }

    /** Where a tag's bytes are; that of tag {@code depth} is nobody's. */
    MemorySegment memory(int tag) {
        return data.asSlice((long) tag * DriverContract.MAX_IO, DriverContract.MAX_IO);
    }

    Element element(int tag, int result) {
        return new Element(tag, result, memory(tag).address());
    }

    /** All tags, to be prepared. */
    Element[] allTags() {
        return tags(0, depth);
    }

    Element[] tags(int from, int to) {
        Element[] tags = new Element[to - from];
        for (int tag = from; tag < to; tag++) tags[tag - from] = element(tag, 0);
        return tags;
    }

    /** All of it done; a READ reads this in every byte. */
    Element done(Delivered request, int value) {
        if (request.operation == ublk_cmd_h.UBLK_IO_OP_READ()) memory(request.tag).asSlice(0, request.length).fill((byte) value);
        return element(request.tag, request.length);
    }

    MemorySegment write(Element... elements) {
        MemorySegment memory = kernel.allocate(Math.max(1, elements.length) * (long) elementBytes(), arena);
        for (int i = 0; i < elements.length; i++) {
            MemorySegment element = memory.asSlice(i * (long) elementBytes(), elementBytes());
            element.set(JAVA_SHORT, ublk_elem_header.tag$offset(), (short) elements[i].tag);
            element.set(JAVA_SHORT, ublk_elem_header.buf_index$offset(), (short) (firstIndex + elements[i].tag));
            element.set(JAVA_INT, ublk_elem_header.result$offset(), elements[i].result);
            if (elementFlags == COPY) element.set(JAVA_LONG, HEADER_BYTES, elements[i].address);
        }
        return memory;
    }

    Answer prepare(Element... elements) {
        return command(PREP, id, elementFlags, elements.length, elementBytes(), write(elements).address());
    }

    Answer commit(Element... elements) {
        return command(COMMIT, id, elementFlags, elements.length, elementBytes(), write(elements).address());
    }

    /** REGISTER_IO_BUF or UNREGISTER_IO_BUF. */
    Answer buffer(long operation, int tag, int index) {
        Answer answer = new Answer();
        MemorySegment payload = ring.stage(answer).command(charDevice, (int) operation).payload(ublksrv_io_cmd.layout().byteSize());
        payload.set(JAVA_SHORT, ublksrv_io_cmd.q_id$offset(), (short) id);
        payload.set(JAVA_SHORT, ublksrv_io_cmd.tag$offset(), (short) tag);
        payload.set(JAVA_LONG, ublksrv_io_cmd.addr$offset(), index);
        return answer;
    }

    /** Any command. */
    Answer command(int operation, int queue, int flags, int count, int elementBytes, long elements) {
        Answer answer = new Answer();
        command(answer, operation, queue, flags, count, elementBytes, elements);
        return answer;
    }

    private Sqe command(CompletionHandler handler, int operation, int queue, int flags, int count, int elementBytes, long elements) {
        Sqe sqe = ring.stage(handler).command(charDevice, operation).commandMemory(MemorySegment.ofAddress(elements));
        MemorySegment payload = sqe.payload(ublk_batch_io.layout().byteSize());
        payload.set(JAVA_SHORT, ublk_batch_io.q_id$offset(), (short) queue);
        payload.set(JAVA_SHORT, ublk_batch_io.flags$offset(), (short) flags);
        payload.set(JAVA_SHORT, ublk_batch_io.nr_elem$offset(), (short) count);
        payload.set(JAVA_BYTE, ublk_batch_io.elem_bytes$offset(), (byte) elementBytes);
        return sqe;
    }

    // ------------------------------------------------------------------------------------------- fetching

    /** Lends so many slots in one piece, or two where the circle ends. */
    void lend(int count) {
        slots.grant(count);
    }

    FetchBuffer slots() {
        return slots;
    }

    /** Fetches until that ends: the answer is the last completion, the one without MORE. */
    Answer fetch() {
        return fetch(id, 0, FetchBuffer.SLOT);
    }

    Answer fetch(int queue, int flags, int elementBytes) {
        Answer end = new Answer();
        Sqe sqe = command((result, completion) -> onFetched(result, completion, end), FETCH, queue, flags, 0, elementBytes, 0);
        sqe.commandMultishot(slots.group());
        fetchId = sqe.id();
        ring.park(fetchId);
        return end;
    }

    private void onFetched(int result, int flags, Answer end) {
        if ((flags & io_uring_h.IORING_CQE_F_MORE()) == 0) {
            end.onCompletion(result, flags);
            return;
        }
        mostTags = Math.max(mostTags, result / FetchBuffer.SLOT);
        for (int i = 0; i < result / FetchBuffer.SLOT; i++) deliver(slots.take());
    }

    private void deliver(int tag) {
        int operationAndFlags = descriptors.operationAndFlags(tag);
        Delivered request = new Delivered(tag, operationAndFlags & 0xff, descriptors.offsetBytes(tag),
                (int) descriptors.lengthBytes(tag), operationAndFlags & ~0xff, descriptors.address(tag));
        if (DriverContract.isQuiet(request.offset)) {
            delivered.add(request);
        } else {
            commit(element(tag, request.length));
            lend(1);
        }
    }

    /** Of the last fetch, for who wants to cancel it. */
    long fetchId() {
        return fetchId;
    }

    /** The most tags that one completion brought. */
    int mostTags() {
        return mostTags;
    }
}
