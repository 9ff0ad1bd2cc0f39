package io.reactorublk.samples.cli;

import io.reactorublk.uring.Kernel;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;

/** Where the commands are executed: this machine, or one in memory. */
interface Machine {

    /** The exit status of who got a SIGKILL, as a shell tells it. */
    int KILLED = 128 + 9;

    Kernel kernel();

    /**
     * Waits for an outcome, on a thread that may block.
     *
     * @return the value, or null if it completes empty
     */
    <T> @Nullable T await(Mono<T> outcome);

    /**
     * Where other processes find this one while it serves a device.
     *
     * @return null if nobody could come here
     */
    default @Nullable Door openDoor(int id, Statistics statistics, boolean handsOver, LongConsumer resize) throws IOException {
        return null;
    }

    /** To the process of this command that serves a device, if one does. */
    default Optional<Lines> door(int id) {
        return Optional.empty();
    }

    /** Holds what is below {@code /dev}. */
    default Node node(String name) {
        throw new UnsupportedOperationException("a machine in memory");
    }

    /** Ends this process as a SIGKILL would. */
    default void die() {
        throw new UnsupportedOperationException("a machine in memory");
    }

    /** The machine we run on. */
    static Machine linux() {
        return new Machine() {
            @Override
            public Kernel kernel() {
                return Kernel.linux();
            }

            @Override
            public Door openDoor(int id, Statistics statistics, boolean handsOver, LongConsumer resize) throws IOException {
                return Daemon.openDoor(id, statistics, handsOver, resize);
            }

            @Override
            public Optional<Lines> door(int id) {
                return Lines.to(Daemon.door(id));
            }

            @Override
            public Node node(String name) {
                return Node.hold(kernel(), Path.of("/dev", name));
            }

            @Override
            public void die() {
                Runtime.getRuntime().halt(KILLED);
            }

            @Override
            public <T> @Nullable T await(Mono<T> outcome) {
                return outcome.block();
            }
        };
    }
}
