package io.reactorublk.uring;

import java.nio.file.Path;
import java.util.BitSet;
import java.util.function.BooleanSupplier;
import reactor.core.publisher.Mono;

/**
 * A kernel under test and what a test needs of the world around it, so that one contract holds for every kernel: on Linux
 * a directory and some threads, in memory neither.
 */
interface World extends AutoCloseable {

    /** The kernel under test. */
    Kernel kernel();

    /** A pipe of this kernel: its two descriptors. */
    Pipe pipe();

    /** The path of a new named pipe, which opens for reading and writing at once. */
    Path namedPipe();

    /** A path below a directory of this world where no file is yet. */
    Path freshPath();

    /** A new file. */
    Path file(byte[] content);

    /** The content of a file. */
    byte[] content(Path file);

    /** A directory. */
    Path directory();

    /** A file on a file system without {@code O_DIRECT}. */
    Path fileWithoutDirect();

    /** A new file on a file system without {@code FALLOC_FL_ZERO_RANGE}. */
    Path fileWithoutZeroRange();

    /** A path in {@code /dev/shm} where no file is yet; what a test makes there is gone with this world. */
    Path sharedPath();

    /** Waits until this is so, and fails if it never is. */
    void await(BooleanSupplier condition);

    /** Gives everything that could still move its chance to do so: before saying that something has not happened. */
    void settle();

    /** The value of a Mono, or null if it completes empty; throws its error. */
    <T> T get(Mono<T> mono);

    /** The CPUs that the thread of a loop may run on. */
    BitSet affinity(EventLoop loop);

    /** How many descriptors are open. */
    long descriptors();

    @Override
    void close();

    /** What {@code pipe(2)} returns. */
    record Pipe(int reader, int writer) {}
}
