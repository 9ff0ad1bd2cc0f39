package io.reactorublk.samples.cli;

import io.reactorublk.BlockTarget;

/**
 * What is behind a device, open.
 *
 * @param sizeBytes how large it is
 * @param closing what to do when no device serves it any more
 */
record Content(BlockTarget target, long sizeBytes, Runnable closing) implements AutoCloseable {

    static Content of(BlockTarget target, long sizeBytes) {
        return new Content(target, sizeBytes, () -> {});
    }

    @Override
    public void close() {
        closing.run();
    }
}
