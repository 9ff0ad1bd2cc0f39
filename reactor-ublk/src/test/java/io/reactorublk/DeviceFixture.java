package io.reactorublk;

import io.reactorublk.uring.Kernel;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.time.Duration;
import java.util.BitSet;
import java.util.concurrent.CompletableFuture;
import java.util.function.BooleanSupplier;
import reactor.core.publisher.Mono;

/**
 * A kernel with ublk under test and what a test needs around it, so that one contract holds for every such kernel: on Linux
 * block devices and threads that use them, in memory neither.
 */
interface DeviceFixture extends AutoCloseable {

    /** The kernel under test. */
    Kernel kernel();

    /** Whether the server has CAP_SYS_ADMIN; else its devices are unprivileged. */
    default boolean isPrivileged() {
        return true;
    }

    /** The application's side of the device with this number. */
    Disk open(int id);

    default Disk open(UblkDevice device) {
        return open(device.id());
    }

    /** Starts a server that keeps its bytes in a {@link KeptDisk} that holds some requests for ever, in a process that can be killed. */
    Victim startVictim(UblkServer server);

    /** A server that is to die. */
    interface Victim {

        /** The number of its device. */
        int id();

        /** What is left of its bytes. */
        MemorySegment content();

        /** Waits until it holds a request. */
        void awaitHeld();

        /** Kills it, and in memory everything else that belongs to the process. */
        void kill();
    }

    /** Whether loops have threads, and a clock that others know: not in memory, where the test's own thread turns them all. */
    boolean hasThreads();

    /** Waits until this is so, and fails if it never is. */
    void await(BooleanSupplier condition);

    /** Gives everything that could still move its chance to do so: before saying that something has not happened. */
    void settle();

    /** Waits until the kernel has given so many requests for the device with this number to the driver, which has not answered them. */
    void awaitInFlight(int id, int count);

    /** A target of this test breaks a rule, as these words tell: a kernel that watches must find that, and not fail the test for it. */
    default void expectBreach(String words) {}

    /** Lets so much time pass. */
    void elapse(Duration time);

    /** The value of a Mono, or null if it completes empty; throws its error. */
    <T> T get(Mono<T> mono);

    /** What became of an operation of a disk; throws its {@link Disk.Failure}. */
    <T> T get(CompletableFuture<T> operation);

    /** A file of this kernel's. */
    Path file(byte[] content);

    /** What is in it. */
    byte[] content(Path file);

    /** A named pipe of this kernel's: whoever reads it waits until somebody writes. */
    Path pipe();

    /** A path in {@code /dev/shm} where no file is yet; what a test makes there goes with this fixture. */
    Path sharedPath();

    /** The CPUs that the thread, or in memory the loop, of this name may run on. */
    BitSet affinity(String thread);

    /** All that devices take of this machine: nodes, descriptors, threads, mappings, locked memory. */
    String footprint();

    @Override
    void close();
}
