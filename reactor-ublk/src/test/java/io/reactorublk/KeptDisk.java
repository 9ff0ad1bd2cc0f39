package io.reactorublk;

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
            if (whenHeld == null || request.offset() < HELD || request.offset() >= HELD + HELD_BYTES) return Mono.just(execute(request));
            whenHeld.run();
            return Mono.never();
        });
    }

    private Completion execute(BlockRequest request) {
        if (DeviceContract.isQuiet(request)) executed.incrementAndGet();
        return switch (request.operation()) {
            case FLUSH -> request.complete();
            case DISCARD, WRITE_ZEROES -> {
                content.asSlice(request.offset(), request.length()).fill((byte) 0);
                yield request.complete();
            }
            case READ -> {
                MemorySegment.copy(content, request.offset(), request.data(), 0, request.length());
                yield request.complete();
            }
            case WRITE -> {
                MemorySegment.copy(request.data(), 0, content, request.offset(), request.length());
                yield request.complete();
            }
        };
    }
}
