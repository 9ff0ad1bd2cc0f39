package io.reactorublk;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import io.reactorublk.abi.ublk_batch_io;
import io.reactorublk.abi.ublk_cmd_h;
import io.reactorublk.uring.CompletionHandler;
import io.reactorublk.uring.Ring;
import io.reactorublk.uring.Sqe;
import java.lang.foreign.MemorySegment;

/**
 * What a queue says to the driver, in the batch protocol: prepare all tags once, fetch for ever, commit again and again.
 *
 * <pre>
 *   payload:   0  q_id u16   2  flags u16   4  nr_elem u16   6  elem_bytes u8   7  reserved, zero
 * </pre>
 *
 * Mirrors {@code struct ublk_batch_io} and {@code ublk_ch_batch_io_uring_cmd}.
 */
final class BatchCommands {

    private static final int PREP = (int) ublk_cmd_h.UBLK_U_IO_PREP_IO_CMDS();
    private static final int FETCH = (int) ublk_cmd_h.UBLK_U_IO_FETCH_IO_CMDS();
    private static final int COMMIT = (int) ublk_cmd_h.UBLK_U_IO_COMMIT_IO_CMDS();

    private static final long PAYLOAD_BYTES = ublk_batch_io.layout().byteSize();
    private static final long QUEUE = ublk_batch_io.q_id$offset();
    private static final long FLAGS = ublk_batch_io.flags$offset();
    private static final long ELEMENTS = ublk_batch_io.nr_elem$offset();
    private static final long ELEMENT_BYTES = ublk_batch_io.elem_bytes$offset();

    private final Ring ring;
    private final int charDevice;
    private final int queueId;
    private final int elementFlags;

    BatchCommands(Ring ring, int charDevice, int queueId, DataMode mode) {
        elementFlags = mode.batchFlags();
        this.ring = ring;
        this.charDevice = charDevice;
        this.queueId = queueId;
    }

    /** Hands all tags to the driver, all or none. Completes with 0. */
    void prepare(CommitBuffer tags, CompletionHandler handler) {
        elements(ring.stage(handler).command(charDevice, PREP), tags);
    }

    /** Answers requests. Completes, while it is submitted, with the bytes of elements accepted. */
    void commit(CommitBuffer results, CompletionHandler handler) {
        elements(ring.stage(handler).command(charDevice, COMMIT), results);
        ring.expectInline();
    }

    private void elements(Sqe sqe, CommitBuffer buffer) {
        MemorySegment elements = buffer.remaining();
        payload(sqe.commandMemory(elements), elementFlags, buffer.pending(), buffer.elementBytes());
    }

    /** Asks for tags, again and again, into the memory lent to this group. Cannot be cancelled: it ends by its own rules. */
    void fetch(int group, CompletionHandler handler) {
        Sqe sqe = ring.stage(handler).command(charDevice, FETCH).commandMultishot(group);
        payload(sqe, 0, 0, FetchBuffer.SLOT);
        ring.park(sqe.id());
    }

    private void payload(Sqe sqe, int flags, int elements, int elementBytes) {
        MemorySegment payload = sqe.payload(PAYLOAD_BYTES);
        payload.set(JAVA_SHORT, QUEUE, (short) queueId);
        payload.set(JAVA_SHORT, FLAGS, (short) flags);
        payload.set(JAVA_SHORT, ELEMENTS, (short) elements);
        payload.set(JAVA_BYTE, ELEMENT_BYTES, (byte) elementBytes);
    }
}
