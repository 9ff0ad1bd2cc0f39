package io.reactorublk;

import io.reactorublk.uring.EventLoop;
import io.reactorublk.uring.IoBuffer;
import java.lang.foreign.Arena;
import reactor.core.CoreSubscriber;

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
    public EventLoop loop() {
        throw new UnsupportedOperationException();
    }

    @Override
    IoBuffer bytesOf(int tag, int length) {
        return IoBuffer.of(Arena.ofAuto().allocate(length).fill((byte) tag));
    }

    @Override
    public void subscribe(CoreSubscriber<? super BlockRequest> actual) {
        throw new UnsupportedOperationException();
    }

    @Override
    public String toString() {
        return "a fake queue";
    }
}
