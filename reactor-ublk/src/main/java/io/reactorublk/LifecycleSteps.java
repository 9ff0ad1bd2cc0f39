package io.reactorublk;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.CancellationException;
import java.util.function.BooleanSupplier;
import java.util.function.Function;
import java.util.function.Supplier;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler;
import reactor.util.Logger;
import reactor.util.Loggers;

/**
 * A list of steps, each with its way back. {@link #up} walks it, {@link #down} walks back over what was done, in reverse. All
 * on one scheduler.
 */
final class LifecycleSteps {

    private static final Logger LOG = Loggers.getLogger(LifecycleSteps.class);

    private record Step(String name, Supplier<Mono<Void>> forward, Supplier<Mono<Void>> back) {}

    /** Whose steps, as the log calls it. */
    private final Object whose;
    private final Scheduler scheduler;
    private final Deque<Step> ahead = new ArrayDeque<>();
    private final Deque<Step> done = new ArrayDeque<>();

    LifecycleSteps(Object whose, Scheduler scheduler) {
        this.whose = whose;
        this.scheduler = scheduler;
    }

    /**
     * One more, behind those that are ahead; a step may add some.
     *
     * @param forward undoes itself if it fails
     * @param back is walked only if {@code forward} did not fail
     */
    void add(String name, Supplier<Mono<Void>> forward, Supplier<Mono<Void>> back) {
        ahead.add(new Step(name, forward, back));
    }

    /** Fails where a step does, or with {@link CancellationException} before the first one that is not wanted any more. */
    Mono<Void> up(BooleanSupplier wanted) {
        return each(ahead, step -> (wanted.getAsBoolean() ? walk(step.name, step.forward) : Mono.<Void>error(new CancellationException()))
                .publishOn(scheduler)
                .doOnSuccess(nothing -> done.push(step)));
    }

    /** Never fails: whatever cannot be undone, the rest is. */
    Mono<Void> down() {
        return each(done, step -> walk("back from " + step.name, step.back)
                .onErrorResume(e -> {
                    LOG.warn("undoing \"" + step.name + "\" of " + whose + " failed; going on", e);
                    return Mono.empty();
                })
                .publishOn(scheduler));
    }

    private Mono<Void> walk(String name, Supplier<Mono<Void>> step) {
        return Mono.defer(() -> {
            LOG.debug("{}: {}", whose, name);
            return step.get();
        });
    }

    /** One after the other, until none is left. */
    private static Mono<Void> each(Deque<Step> steps, Function<Step, Mono<Void>> walk) {
        return Flux.<Step>generate(sink -> {
            Step step = steps.poll();
            if (step == null) {
                sink.complete();
            } else {
                sink.next(step);
            }
        }).concatMap(walk, 0).then();
    }
}
