package io.reactorublk.samples.cli;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;

/**
 * Ctrl-C and SIGTERM. Who serves a device hears of them and has time to remove it; any other command ends at once. The JVM
 * tells of signals by its shutdown hooks, and the process lives no longer than they do.
 */
final class Signals {

    private static final long LAST_CHANCE_SECONDS = 60;

    private final CompletableFuture<@Nullable Void> asked = new CompletableFuture<>();
    private final CompletableFuture<Integer> status = new CompletableFuture<>();
    private volatile boolean heeded;

    /** From now on signals are told to who asks for them. */
    void listen() {
        Runtime.getRuntime().addShutdownHook(new Thread(this::arrived, "signals"));
    }

    private void arrived() {
        if (status.isDone()) return;                                   // no signal, but the end
        ask();
        if (!heeded) Runtime.getRuntime().halt(ReactorUblk.INTERRUPTED);
        try {
            Runtime.getRuntime().halt(status.get(LAST_CHANCE_SECONDS, TimeUnit.SECONDS));
        } catch (InterruptedException | ExecutionException | TimeoutException e) {
            System.err.println("reactor-ublk: could not clean up within " + LAST_CHANCE_SECONDS + " s");
        }
    }

    /** As if a signal had arrived. */
    void ask() {
        asked.complete(null);
    }

    /** From now on a process that is asked to end waits for {@link #end}. */
    void heed() {
        heeded = true;
    }

    boolean areHeeded() {
        return heeded;
    }

    /** Completes when the process is asked to end. */
    Mono<Void> asked() {
        heed();
        return Mono.fromFuture(asked, true).then();
    }

    boolean haveArrived() {
        heed();
        return asked.isDone();
    }

    /** All is done that is to be done before the end. */
    int end(int exitStatus) {
        status.complete(exitStatus);
        return exitStatus;
    }
}
