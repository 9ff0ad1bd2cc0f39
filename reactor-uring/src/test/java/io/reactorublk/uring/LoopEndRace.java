package io.reactorublk.uring;

import static org.openjdk.jcstress.annotations.Expect.ACCEPTABLE;
import static org.openjdk.jcstress.annotations.Expect.FORBIDDEN;

import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.AtomicInteger;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Arbiter;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.III_Result;

/**
 * A task arrives while its loop closes: it is refused, or it runs. And a wake-up that somebody has decided on still finds its
 * descriptor open; in memory, writing to a closed one throws.
 */
@JCStressTest
@Outcome(id = "1, 1, 1", expect = ACCEPTABLE, desc = "The task was taken, and ran.")
@Outcome(id = "0, 0, 1", expect = ACCEPTABLE, desc = "The task was refused, and did not run.")
@Outcome(id = "1, 0, .", expect = FORBIDDEN, desc = "The task was taken and never ran: who waits for it waits for ever.")
@Outcome(id = "2, ., .", expect = FORBIDDEN, desc = "The loop was woken by a descriptor that it had closed.")
@Outcome(id = "., ., 0", expect = FORBIDDEN, desc = "The loop does not end.")
@Outcome(expect = FORBIDDEN, desc = "The task ran twice, or although it was refused.")
@State
public class LoopEndRace {

    private static final int REFUSED = 0;
    private static final int TAKEN = 1;
    private static final int THREW = 2;

    private final RacingLoop loop = RacingLoop.fresh();
    private final RaceMoment moment = new RaceMoment();
    private final AtomicInteger runs = new AtomicInteger();

    @Actor
    public void closes() {
        moment.first();
        loop.loop().dispose();
        loop.settle();
    }

    @Actor
    public void brings(III_Result result) {
        moment.second();
        try {
            loop.loop().execute(runs::incrementAndGet);
            result.r1 = TAKEN;
        } catch (RejectedExecutionException e) {
            result.r1 = REFUSED;
        } catch (KernelException e) {
            result.r1 = THREW;
        }
    }

    @Arbiter
    public void end(III_Result result) {
        loop.settle();
        result.r2 = runs.get();
        result.r3 = loop.ends() ? 1 : 0;
    }
}
