package io.reactorublk.uring;

import static org.openjdk.jcstress.annotations.Expect.ACCEPTABLE;
import static org.openjdk.jcstress.annotations.Expect.FORBIDDEN;

import java.util.concurrent.atomic.AtomicInteger;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Arbiter;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.II_Result;

/**
 * Two tasks arrive while their loop is about to sleep. The loop says that it sleeps and then looks for tasks; who brings one
 * does it the other way round: at least one of them must see the other.
 */
@JCStressTest
@Outcome(id = "2, 1", expect = ACCEPTABLE, desc = "Each task ran once, whether the loop found it or was woken.")
@Outcome(id = "[01], .*", expect = FORBIDDEN, desc = "The loop sleeps and a task is never run: its wake-up was lost.")
@Outcome(id = "2, 0", expect = FORBIDDEN, desc = "The loop does not end, for it miscounted its wake-ups.")
@Outcome(expect = FORBIDDEN, desc = "A task ran more than once.")
@State
public class WakeUpRace {

    private final RacingLoop loop = RacingLoop.take().aboutToSleep();
    private final RaceMoment moment = new RaceMoment();
    private final AtomicInteger runs = new AtomicInteger();

    @Actor
    public void turns() {
        moment.first();
        loop.turn();
    }

    @Actor
    public void brings() {
        moment.second();
        loop.loop().execute(runs::incrementAndGet);
        loop.loop().execute(runs::incrementAndGet);
    }

    @Arbiter
    public void end(II_Result result) {
        loop.settle();
        result.r1 = runs.get();
        result.r2 = result.r1 == 2 && loop.giveBack() ? 1 : 0;
    }
}
