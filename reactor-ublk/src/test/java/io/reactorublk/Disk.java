package io.reactorublk;

import io.reactorublk.uring.Errno;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.CompletableFuture;

/**
 * A block device as an application sees it. Every operation goes to the device at once, past the page cache, and is only
 * started here; offsets and lengths are multiples of 4096.
 */
interface Disk extends AutoCloseable {

    /** Fails if the device ends first. */
    CompletableFuture<byte[]> read(long offset, int length);

    CompletableFuture<Void> write(long offset, byte[] bytes);

    /** Straight into memory of the application's, which is page-aligned. */
    CompletableFuture<Void> read(long offset, MemorySegment into);

    /** Straight from memory of the application's, which is page-aligned. */
    CompletableFuture<Void> write(long offset, MemorySegment from);

    /** Completes when it is durable: {@code O_DSYNC}. */
    CompletableFuture<Void> writeDurably(long offset, byte[] bytes);

    /** {@code fdatasync(2)}. */
    CompletableFuture<Void> flush();

    CompletableFuture<Void> discard(long offset, long length);

    /** The range reads as zeroes from now on, and may be freed. */
    CompletableFuture<Void> punch(long offset, long length);

    /** The range reads as zeroes from now on, and stays allocated. */
    CompletableFuture<Void> zero(long offset, long length);

    @Override
    void close();

    /** What an application is told of an operation that failed. */
    final class Failure extends RuntimeException {

        private final Errno errno;

        Failure(Errno errno, String operation) {
            super(operation + ": " + errno);
            this.errno = errno;
        }

        Errno errno() {
            return errno;
        }
    }
}
