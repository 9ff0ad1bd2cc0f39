package io.reactorublk;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.reactivestreams.Publisher;
import reactor.core.publisher.Mono;

/** A disk in an array that remembers what it was asked. */
final class RecordingTarget implements BlockTarget {

    /** What a request asked for. */
    record Seen(Operation operation, long offset, long length, boolean fua, boolean noUnmap) {

        static Seen of(BlockRequest request) {
            return new Seen(request.operation(), request.offset(), request.length(), request.isFua(), request.isNoUnmap());
        }
    }

    private final byte[] content;
    private final Queue<Seen> seen = new ConcurrentLinkedQueue<>();

    RecordingTarget(long bytes) {
        content = new byte[(int) bytes];
    }

    @Override
    public Publisher<Completion> serve(BlockQueue queue) {
        return queue.answer(request -> Mono.just(apply(request)));
    }

    /** Does all of it. */
    Completion apply(BlockRequest request) {
        seen.add(Seen.of(request));
        move(request, (int) request.length());
        return request.complete();
    }

    /** Does the first bytes of a READ or WRITE, or all of another operation. */
    void move(BlockRequest request, int length) {
        int offset = (int) request.offset();
        switch (request.operation()) {
            case READ -> MemorySegment.copy(content, offset, request.data(), ValueLayout.JAVA_BYTE, 0, length);
            case WRITE -> MemorySegment.copy(request.data(), ValueLayout.JAVA_BYTE, 0, content, offset, length);
            case WRITE_ZEROES -> Arrays.fill(content, offset, offset + (int) request.length(), (byte) 0);
            case FLUSH, DISCARD -> { }
        }
    }

    void note(BlockRequest request) {
        seen.add(Seen.of(request));
    }

    /** What came, in order, but for the reads of whoever scans for partitions and file systems. */
    List<Seen> seen() {
        return seen.stream().filter(s -> s.operation() != Operation.READ || DeviceContract.isQuiet(s.offset())).toList();
    }

    List<Seen> seen(Operation operation) {
        return seen().stream().filter(s -> s.operation() == operation).toList();
    }

    void put(long offset, byte[] bytes) {
        System.arraycopy(bytes, 0, content, (int) offset, bytes.length);
    }

    byte[] content(long offset, int length) {
        return Arrays.copyOfRange(content, (int) offset, (int) offset + length);
    }
}
