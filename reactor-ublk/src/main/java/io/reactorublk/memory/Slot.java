package io.reactorublk.memory;

import io.reactorublk.uring.Errno;
import io.reactorublk.uring.memory.CharacterDevice.Command;
import io.reactorublk.uring.memory.CharacterDevice.Direction;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Objects;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;

/**
 * One tag of a queue, {@code struct ublk_io}.
 *
 * <p>Where the driver does not copy, a request ends when nobody refers to it any more: the server does until it commits, and
 * each place in a ring's table of buffers that its pages are in does, as long as the last operation on them goes on.
 *
 * <pre>
 *   start ──► 1 ──register──► 2 ... ──commit──► ... ──last one let go──► ended        ublk_get_req_ref, ublk_put_req_ref
 * </pre>
 */
final class Slot {

    boolean prepared;
    boolean ownedByServer;
    /** In copy mode: where the bytes of a READ are, and those of the next WRITE go. */
    long address;
    /** With {@code AUTO_BUF_REG}: where the pages of the next request go. */
    int nextIndex;
    boolean fallback;
    @Nullable IoRequest request;

    private int references;
    private @Nullable IntConsumer whenEnded;
    private int result;
    /** Whose table the pages were put into before the request was delivered; null if they were not. */
    private @Nullable Object autoRing;
    private int autoIndex;

    IoRequest request() {
        return Objects.requireNonNull(request);
    }

    /** {@code ublk_init_req_ref}: the server is about to have it. */
    void start() {
        references = 1;
        whenEnded = null;
        autoRing = null;
    }

    /** The server does not get it after all. */
    void takeBack(Command fetch) {
        ownedByServer = false;
        takeOut(fetch);
        references = 0;
    }

    /** Whether the server has it, or somebody still refers to its pages. */
    boolean isAlive() {
        return references > 0;
    }

    /** {@code ublk_check_and_reset_active_ref}: whether anybody else than the server refers to it. */
    boolean isReferred() {
        return references > (ownedByServer ? 1 : 0);
    }

    /** Whether it was committed and has not ended. */
    boolean isLingering() {
        return references > 0 && !ownedByServer;
    }

    /** {@code ublk_register_io_buf}: puts the pages into the table of the command's ring. 0, or a negative errno. */
    int register(Command command, int index) {
        IoRequest registered = request;
        if (registered == null || !isAlive() || !registered.hasData()) return Errno.EINVAL.result();
                Direction direction = registered.operation == IoRequest.READ ? Direction.DESTINATION : Direction.SOURCE;
        references++;
        int refusal = command.registerBuffer(index, registered.bytes(), direction, this::put);
        if (refusal != 0) references--;
        return refusal;
    }

    /** {@code ublk_auto_buf_register}: before the request is delivered. False if there is no room for its pages. */
    boolean autoRegister(Command fetch) {
        if (register(fetch, nextIndex) != 0) return false;
        autoRing = fetch.ring();
        autoIndex = nextIndex;
        return true;
    }

    /** {@code ublk_clear_auto_buf_reg}: takes the pages out, if this comes from the ring they are in; else the server has to. */
    private void takeOut(Command command) {
        if (autoRing == command.ring()) command.unregisterBuffer(autoIndex);
        autoRing = null;
    }

    /** {@code ublk_batch_commit_io}, where the driver does not copy: then ends it, now or when the last one lets go. */
    void commit(Command command, int committed, IntConsumer whenLast) {
        ownedByServer = false;
        result = committed;
        whenEnded = whenLast;
        takeOut(command);
        put();
    }

    /** The server is gone, and nobody refers to it. */
    void abort() {
        ownedByServer = false;
        references = 0;
    }

    /** {@code ublk_put_req_ref}. */
    private void put() {
        if (--references > 0) return;
        Objects.requireNonNull(whenEnded).accept(result);
    }

    /**
     * {@code ublk_user_copy}: between the request, from a byte on, and memory of the process. Bytes, or a negative errno. It
     * takes no time here, so it needs no reference of its own.
     */
    int copy(List<MemorySegment> pieces, int at, boolean toRequest) {
        IoRequest copied = request;
        if (copied == null || !isAlive() || !copied.hasData() || at > copied.length()) return Errno.EINVAL.result();
        if (toRequest != (copied.operation == IoRequest.READ)) return Errno.EACCES.result();
        MemorySegment bytes = copied.bytes();
        int done = at;
        for (MemorySegment piece : pieces) {
            long part = Math.min(piece.byteSize(), bytes.byteSize() - done);
            if (toRequest) {
                MemorySegment.copy(piece, 0, bytes, done, part);
            } else {
                MemorySegment.copy(bytes, done, piece, 0, part);
            }
            done += (int) part;
        }
        return done - at;
    }
}
