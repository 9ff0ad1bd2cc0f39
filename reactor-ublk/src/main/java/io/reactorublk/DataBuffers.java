package io.reactorublk;

import io.reactorublk.uring.Errno;
import io.reactorublk.uring.EventLoop;
import io.reactorublk.uring.IoBuffer;
import java.lang.foreign.MemorySegment;
import java.util.Objects;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;

/** Where the bytes of a queue's requests are, and what the driver is told of it with each tag. See {@link DataMode}. */
abstract class DataBuffers {

    /**
     * The bytes of a request that carries some, for operations on a loop. Any thread.
     *
     * @param loop the loop, or null for the queue's own
     * @param step whether for steps of {@link OneUse}
     */
    abstract IoBuffer buffer(BlockRequest request, @Nullable EventLoop loop, boolean step);

    /** Whether the bytes of every request are in this process. */
    abstract boolean areVisible();

    /** Whether {@link #buffer} gives any. */
    boolean hasBuffers() {
        return true;
    }

    /** Memory for a part of a request, where there are no buffers. Any thread. */
    MemorySegment takeMemory(int length) {
        throw new UnsupportedOperationException();
    }

    /** Gives it back; who cannot tell whether the kernel is done with it leaves it to the garbage collector. Any thread. */
    void giveMemory(MemorySegment memory) {}

    /** Copies bytes of a WRITE into memory of the caller's. */
    Mono<Void> look(BlockRequest request, int from, MemorySegment into, boolean step) {
        return Mono.fromRunnable(() -> {
            requireCopy(request, Operation.WRITE, from, into);
            copy(request, from, (int) into.byteSize(), step, memory -> MemorySegment.copy(memory, 0, into, 0, into.byteSize()));
        });
    }

    /** Copies memory of the caller's into a READ. */
    Mono<Void> fill(BlockRequest request, int at, MemorySegment bytes, boolean step) {
        return Mono.fromRunnable(() -> {
            requireCopy(request, Operation.READ, at, bytes);
            copy(request, at, (int) bytes.byteSize(), step, memory -> MemorySegment.copy(bytes, 0, memory, 0, bytes.byteSize()));
        });
    }

    /** Not after its answer, and the answer not before the end. */
    private void copy(BlockRequest request, int from, int length, boolean step, Consumer<MemorySegment> copying) {
        if (length == 0) return;
        IoBuffer.Segment part = (IoBuffer.Segment) buffer(request, null, step).slice(from, length);
        IoBuffer.Owner owner = part.owner();
        owner.begin();
        int copied = Errno.EFAULT.result();
        try {
            copying.accept(part.memory());
            copied = length;
        } finally {
            owner.end(part, copied, false);
        }
    }

    /** Fetches the bytes of a WRITE from the kernel, in a mode in which we do. */
    Mono<Void> load(BlockRequest request) {
        throw new UnsupportedOperationException();
    }

    /**
     * What is left to do for the first bytes of a READ before its answer is committed: to bring them to the kernel, in a mode in
     * which we do, and zeroes to where nobody has {@linkplain BlockRequest#isUntouched touched} anything. The one empty Mono if
     * nothing is. On the loop, when nobody uses its bytes any more.
     */
    abstract Mono<Void> finish(BlockRequest request, int length);

    /** Where the driver finds the bytes of a READ of this tag, and puts those of the tag's next WRITE; 0 if it does not copy. */
    long address(int tag) {
        return 0;
    }

    /** Where the driver puts the pages of the tag's next request in the ring's table; 0 if it does not register them. */
    int index(int tag) {
        return 0;
    }

    /** Withdraws a tag's bytes for good from what a lost target may still do with them. */
    abstract void quarantine(int tag);

    /**
     * Whether that keeps a late operation from the bytes of the tag's next request. If not, the tag is answered only when
     * the operations on its request have ended.
     */
    boolean isolates() {
        return true;
    }

    /**
     * On the loop, before the first tag is prepared, in the order of the places.
     *
     * @param place of this queue among those of the loop
     * @param queues how many the loop has
     */
    void attach(EventLoop loop, int charDevice, int queueId, int place, int queues) {}

    /** After the last operation. */
    Mono<Void> detach() {
        return Mono.empty();
    }

    /** Refuses what the driver would refuse, or what would be another request's bytes by now. */
    static void requireCopy(BlockRequest request, Operation operation, int at, MemorySegment memory) {
        if (request.operation() != operation) {
            throw new UnsupportedOperationException(operation == Operation.WRITE
                    ? "only the bytes of a WRITE can be looked at, and this is a " + request
                    : "only a READ can be filled, and this is a " + request);
        }
        Objects.checkFromIndexSize(at, memory.byteSize(), request.length());
    }
}
