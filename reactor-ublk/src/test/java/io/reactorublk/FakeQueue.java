package io.reactorublk;

import io.reactorublk.uring.EventLoop;
import io.reactorublk.uring.IoBuffer;
import java.lang.foreign.Arena;
import org.jspecify.annotations.Nullable;
import reactor.core.CoreSubscriber;
import reactor.core.publisher.Mono;

/** A queue that delivers nothing. Its bytes tell their tag. */
final class FakeQueue extends BlockQueue {

    private final int blockSize;

    FakeQueue(int blockSize) {
        this.blockSize = blockSize;
    }

    @Override
    public int id() {
        return 0;
    }

    @Override
    public int deviceId() {
        return 0;
    }

    @Override
    public int depth() {
        return 16;
    }

    @Override
    public int blockSize() {
        return blockSize;
    }

    @Override
    public long sizeBytes() {
        return 1 << 20;
    }

    @Override
    public DeviceParameters parameters() {
        throw new UnsupportedOperationException();
    }

    @Override
    public boolean isRecovered() {
        return false;
    }

    @Override
    public EventLoop loop() {
        throw new UnsupportedOperationException();
    }

    @Override
    DataBuffers data(BlockRequest request) {
        return new FakeBuffers();
    }

    @Override
    void answered(BlockRequest request) {
        throw new UnsupportedOperationException();
    }

    @Override
    void lost(Throwable e) {
        throw new UnsupportedOperationException();
    }

    @Override
    public void subscribe(CoreSubscriber<? super BlockRequest> actual) {
        throw new UnsupportedOperationException();
    }

    @Override
    public String toString() {
        return "a fake queue";
    }

    private static final class FakeBuffers extends DataBuffers {

        @Override
        IoBuffer buffer(BlockRequest request, @Nullable EventLoop loop, boolean step) {
            return IoBuffer.of(Arena.ofAuto().allocate(request.length()).fill((byte) request.tag()));
        }

        @Override
        boolean areVisible() {
            return true;
        }

        @Override
        Mono<Void> finish(BlockRequest request, int length) {
            throw new UnsupportedOperationException();
        }

        @Override
        void quarantine(int tag) {
            throw new UnsupportedOperationException();
        }
    }
}
