package io.reactorublk;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Publisher;
import reactor.core.publisher.Mono;

/** A disk whose bytes outlive its server. What lies in its last part but one it can hold for ever, written or not. */
final class KeptDisk implements BlockTarget {

    /** From here on for a MiB requests are held, if they are. */
    static final long HELD = DeviceContract.DEVICE_BYTES - (3 << 20);

    private static final long HELD_BYTES = 1 << 20;

    private final MemorySegment content;
    private final @Nullable Runnable whenHeld;
    private final AtomicLong executed = new AtomicLong();

    KeptDisk(MemorySegment content) {
        this(content, null);
    }

    /** @param whenHeld called each time that it holds one; null if it holds none */
    KeptDisk(MemorySegment content, @Nullable Runnable whenHeld) {
        this.content = content;
        this.whenHeld = whenHeld;
    }

    /** How many requests of the test's own it has executed. */
    long executed() {
        return executed.get();
    }

    @Override
    public Publisher<Completion> serve(BlockQueue queue) {
        return queue.answer(request -> {
            if (whenHeld == null || request.offset() < HELD || request.offset() >= HELD + HELD_BYTES) return execute(request);
            whenHeld.run();
            return Mono.never();
        });
    }

    /** Of this server's process: what outlives it is not. */
    private static MemorySegment memory(BlockRequest request) {
        return request.queue().loop().kernel().allocate(request.length(), Arena.ofAuto());
    }

    private Mono<Completion> execute(BlockRequest request) {
        if (DeviceContract.isQuiet(request)) executed.incrementAndGet();
        MemorySegment place = content.asSlice(request.offset(), request.length());
        return switch (request.operation()) {
            case FLUSH -> Mono.just(request.complete());
            case DISCARD, WRITE_ZEROES -> {
                place.fill((byte) 0);
                yield Mono.just(request.complete());
            }
            case READ -> request.fill(0, memory(request).copyFrom(place)).thenReturn(request.complete());
            case WRITE -> {
                MemorySegment bytes = memory(request);
                yield request.look(0, bytes).thenReturn(request.complete()).doOnNext(done -> place.copyFrom(bytes));
            }
        };
    }
}
