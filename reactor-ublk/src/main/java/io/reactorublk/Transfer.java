package io.reactorublk;

import io.reactorublk.uring.Errno;
import io.reactorublk.uring.IoBuffer;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.UringFile;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import reactor.core.publisher.Mono;

/**
 * A request's bytes to or from files: whole, in any mode, by several operations at once.
 *
 * <p>What the fused command of the lists wanted of the kernel (one primary that provides the pages, N secondaries that use
 * them, no answer before the last has ended) is made of three things here: the pages are in the ring's table, the
 * secondaries are ordinary operations, and {@link BlockRequest#use} counts them.
 */
final class Transfer {

    private Transfer() {}

    static Mono<Void> of(BlockRequest request, UringFile file, long fileOffset, int from, int length) {
        request.requireData();
        boolean write = request.operation() == Operation.WRITE;
        DataBuffers data = request.queue().data(request);
        if (data.hasBuffers()) {
            IoBuffer bytes = data.buffer(request, file.loop(), true).slice(from, length);
            return OneUse.of(request, whole(file, write, bytes, fileOffset, write && request.isFua()));
        }
        return OneUse.of(request, Mono.defer(() -> {                   // memory of its own, as late as can be
            MemorySegment piece = data.takeMemory(length);
            MemorySegment memory = piece.asSlice(0, length);
            IoBuffer bytes = new IoBuffer.Segment(memory, request.owner(BlockRequest.ELSEWHERE, true));
            Mono<Void> copied = write
                    ? data.look(request, from, memory, true).then(whole(file, true, bytes, fileOffset, request.isFua()))
                    : whole(file, false, bytes, fileOffset, false).then(data.fill(request, from, memory, true));
            return copied.doOnSuccess(nothing -> data.giveMemory(piece));
        }));
    }

    private static Mono<Void> whole(UringFile file, boolean write, IoBuffer bytes, long offset, boolean durable) {
        Mono<Integer> once = write ? file.write(bytes, offset, durable) : file.read(bytes, offset);
        return once.flatMap(count -> {
            if (count == bytes.length()) return Mono.empty();
            if (count == 0) {
                return Mono.error(new KernelException((write ? "write " : "read ") + file.path() + " at " + offset, Errno.EIO,
                        "It ends there; was it made shorter while it was served?"));
            }
            return whole(file, write, bytes.slice(count, bytes.length() - count), offset + count, durable);
        });
    }

    static Mono<Completion> fuse(BlockRequest request, List<? extends Mono<?>> secondaries) {
        return Mono.defer(() -> {
            AtomicReference<Throwable> first = new AtomicReference<>();
            List<Mono<?>> ends = new ArrayList<>(secondaries.size());
            for (Mono<?> secondary : secondaries) {
                ends.add(secondary.onErrorComplete(e -> {
                    first.compareAndSet(null, e);
                    return true;
                }));
            }
            return Mono.when(ends).then(Mono.fromSupplier(() -> {
                Throwable failure = first.get();
                return failure == null ? request.complete() : request.fail(failure);
            }));
        });
    }
}
