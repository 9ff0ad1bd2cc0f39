package io.reactorublk.samples.mirror;

import java.time.Duration;
import java.util.concurrent.TimeUnit;
import reactor.core.Disposable;
import reactor.core.Disposables;
import reactor.core.scheduler.Scheduler;

/**
 * Says when something takes too long. Looks twice: after this process itself stood still (a garbage collection, a laptop's
 * lid) the time is over before anybody has looked at what has completed meanwhile, and nobody must be punished for that.
 */
final class Patience {

    private static final long SECOND_LOOK_MILLIS = 5;

    private Patience() {}

    /**
     * Runs a task after a limit, unless disposed before.
     *
     * @param loop where completions are noticed: between the two looks it turns
     */
    static Disposable after(Duration limit, Scheduler loop, Runnable late) {
        Disposable.Swap timer = Disposables.swap();
        timer.update(loop.schedule(
                () -> timer.update(loop.schedule(late, SECOND_LOOK_MILLIS, TimeUnit.MILLISECONDS)),
                limit.toNanos(), TimeUnit.NANOSECONDS));
        return timer;
    }
}
