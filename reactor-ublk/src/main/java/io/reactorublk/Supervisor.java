package io.reactorublk;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;
import reactor.util.Logger;
import reactor.util.Loggers;

/**
 * Keeps a server running: starts it as a process of its own, and again when it dies. A server that {@linkplain
 * UblkServer#recover recovers} its device when it starts then survives its own death, with a {@link Recovery} that lets
 * applications wait meanwhile.
 *
 * {@snippet file="io/reactorublk/Snippets.java" region="supervisor"}
 *
 * <p>Of the device it knows nothing, and it needs no ublk, no root and next to no memory. If it dies itself its server goes
 * on, unsupervised. Immutable: each method returns a changed copy.
 */
public final class Supervisor {

    private static final Logger LOG = Loggers.getLogger(Supervisor.class);

    private final ProcessBuilder command;
    private final Duration firstPause;
    private final Duration longestPause;

    private Supervisor(ProcessBuilder command, Duration firstPause, Duration longestPause) {
        this.command = command;
        this.firstPause = firstPause;
        this.longestPause = longestPause;
    }

    /**
     * Of a server that is started so.
     *
     * @param command with its arguments, environment and redirections; not to be changed any more
     */
    public static Supervisor of(ProcessBuilder command) {
        return new Supervisor(command, Duration.ofMillis(100), Duration.ofSeconds(30));
    }

    /**
     * How long to wait before the next start: {@code first} after the first death, twice as long after each that follows, up
     * to {@code longest}; and from the beginning after a process that has lived for {@code longest}. 100 ms and 30 s by default.
     */
    public Supervisor backoff(Duration first, Duration longest) {
        if (!first.isPositive() || first.compareTo(longest) > 0) {
            throw new IllegalArgumentException("pauses from %s to %s: the first must be positive and not the longer one"
                    .formatted(first, longest));
        }
        return new Supervisor(command, first, longest);
    }

    /**
     * Emits each process as it is started. Completes when one ends with status 0: what it was there for is done. Fails with
     * {@link UncheckedIOException} if the command cannot be started. Cancelling asks the process at hand to end, by
     * {@code SIGTERM}, and waits for nothing. Emits on threads of its own. Each subscription has a process of its own.
     */
    public Flux<Process> run() {
        return Flux.defer(() -> new Supervision().processes());
    }

    /** One subscription. */
    private final class Supervision {

        private Duration pause = firstPause;
        private long startedNanos;
        private volatile boolean cancelled;
        private volatile @Nullable Process process;

        /** One after the other, and none within another: the thousandth needs no deeper stack than the first. */
        Flux<Process> processes() {
            return Mono.fromCallable(this::start).subscribeOn(Schedulers.boundedElastic())
                    .flatMapMany(started -> Flux.concat(Mono.just(started), untilItEnds(started)))
                    .repeatWhen(ends -> ends.takeWhile(end -> !isDone()).concatMap(end -> Mono.delay(nextPause())))
                    .doOnCancel(this::cancel);
        }

        /** A process that nobody will hear of must not stay. */
        private Process start() {
            try {
                Process started = command.start();
                startedNanos = System.nanoTime();
                process = started;
                if (cancelled) started.destroy();
                return started;
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }

        /** Not to wait for it any longer does not end it. */
        private static Mono<Process> untilItEnds(Process started) {
            return Mono.fromFuture(started::onExit, true).then(Mono.empty());
        }

        private boolean isDone() {
            return Objects.requireNonNull(process).exitValue() == 0;
        }

        private Duration nextPause() {
            Process ended = Objects.requireNonNull(process);
            boolean lived = System.nanoTime() - startedNanos >= longestPause.toNanos();
            Duration wait = lived ? firstPause : pause;
            pause = doubled(wait);
            LOG.warn("the server, process {}, ended with status {}; the next one starts in {}", ended.pid(), ended.exitValue(), wait);
            return wait;
        }

        private void cancel() {
            cancelled = true;                                          // and then looks, while start() does it the other way round
            Process running = process;
            if (running != null) running.destroy();
        }
    }

    private Duration doubled(Duration pause) {
        Duration twice = pause.multipliedBy(2);
        return twice.compareTo(longestPause) < 0 ? twice : longestPause;
    }
}
