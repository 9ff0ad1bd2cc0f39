package io.reactorublk.samples.cli;

import io.reactorublk.uring.Kernel;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;

/** Where the commands are executed: this machine, or one in memory. */
interface Machine {

    Kernel kernel();

    /**
     * Waits for an outcome, on a thread that may block.
     *
     * @return the value, or null if it completes empty
     */
    <T> @Nullable T await(Mono<T> outcome);

    /** The machine we run on. */
    static Machine linux() {
        return new Machine() {
            @Override
            public Kernel kernel() {
                return Kernel.linux();
            }

            @Override
            public <T> @Nullable T await(Mono<T> outcome) {
                return outcome.block();
            }
        };
    }
}
