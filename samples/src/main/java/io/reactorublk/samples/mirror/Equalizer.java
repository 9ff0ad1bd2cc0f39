package io.reactorublk.samples.mirror;

import io.reactorublk.uring.IoBuffer;
import io.reactorublk.uring.Kernel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * Makes live replicas equal after a set was not closed. They have every acknowledged write, but where writes were in flight
 * one may have the old bytes and another the new: either is right, as long as it does not change with the replica that is
 * asked. So everything is compared, and where it differs the first one's bytes are copied to the others.
 *
 * <p>It must end before the set is served. If it is interrupted it starts again; nobody has read anything in between.
 */
final class Equalizer {

    private static final int CHUNK_BYTES = 1 << 20;

    private final List<? extends Replica> replicas;
    private final long dataBytes;
    private final MemorySegment right;
    private final MemorySegment other;
    private final AtomicLong copiedBytes = new AtomicLong();

    private Equalizer(List<? extends Replica> replicas, long dataBytes, Kernel kernel, Arena arena) {
        this.replicas = replicas;
        this.dataBytes = dataBytes;
        right = kernel.allocate(CHUNK_BYTES, arena);
        other = kernel.allocate(CHUNK_BYTES, arena);
    }

    /**
     * Makes them equal and durable.
     *
     * @param replicas of one loop
     * @return how many bytes had to be copied
     */
    static Mono<Long> equalize(List<? extends Replica> replicas, long dataBytes, Kernel kernel) {
        return Mono.using(Arena::ofShared, arena -> new Equalizer(replicas, dataBytes, kernel, arena).run(), Arena::close);
    }

    private Mono<Long> run() {
        long chunks = (dataBytes + CHUNK_BYTES - 1) / CHUNK_BYTES;
        return Flux.range(0, Math.toIntExact(chunks))
                .concatMap(i -> chunk((long) i * CHUNK_BYTES), 1)
                .thenMany(Flux.fromIterable(replicas).concatMap(Replica::flush, 1))
                .then(Mono.fromCallable(copiedBytes::get));
    }

    private Mono<Void> chunk(long offset) {
        int length = (int) Math.min(CHUNK_BYTES, dataBytes - offset);
        IoBuffer source = IoBuffer.of(right).slice(0, length);
        return replicas.getFirst().read(source, offset)
                .thenMany(Flux.fromIterable(replicas).skip(1).concatMap(replica -> compare(replica, source, offset), 1))
                .then();
    }

    private Mono<Void> compare(Replica replica, IoBuffer source, long offset) {
        return replica.read(IoBuffer.of(other).slice(0, source.length()), offset).then(Mono.defer(() -> {
            if (MemorySegment.mismatch(right, 0, source.length(), other, 0, source.length()) < 0) return Mono.empty();
            copiedBytes.addAndGet(source.length());
            return replica.write(source, offset, false);
        }));
    }
}
