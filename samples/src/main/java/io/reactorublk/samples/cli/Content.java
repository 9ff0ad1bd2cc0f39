package io.reactorublk.samples.cli;

import io.reactorublk.BlockTarget;
import java.util.function.LongSupplier;

/**
 * What is behind a device, open.
 *
 * @param sizeBytes how large it is
 * @param room how large it could be now: that of a file changes
 * @param closing what to do when no device serves it any more
 */
record Content(BlockTarget target, long sizeBytes, LongSupplier room, Runnable closing) implements AutoCloseable {

    static Content of(BlockTarget target, long sizeBytes, LongSupplier room) {
        return new Content(target, sizeBytes, room, () -> {});
    }

    /** Of a size that does not change. */
    static Content of(BlockTarget target, long sizeBytes, Runnable closing) {
        return new Content(target, sizeBytes, () -> sizeBytes, closing);
    }

    @Override
    public void close() {
        closing.run();
    }
}
