package io.reactorublk;

import static org.openjdk.jcstress.annotations.Expect.ACCEPTABLE;
import static org.openjdk.jcstress.annotations.Expect.FORBIDDEN;

import io.reactorublk.uring.RaceMoment;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Arbiter;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.III_Result;

/** A target answers from another thread while the loop takes its requests from it: the kernel hears one answer of each. */
@JCStressTest
@Outcome(id = "1, 1, 0", expect = ACCEPTABLE, desc = "The answer came in time.")
@Outcome(id = "0, 2, 1", expect = ACCEPTABLE, desc = "The queue answered EIO before.")
@Outcome(id = "0, [01], .", expect = FORBIDDEN, desc = "Nobody answered: the application waits for ever.")
@Outcome(id = "0, 2, 0", expect = FORBIDDEN, desc = "The target was told that its answer counts, and the queue answered, too.")
@Outcome(expect = FORBIDDEN, desc = "The queue did not take the answer, and the application heard it.")
@State
public class LostTargetRace {

    private final RacingQueue queue = RacingQueue.fresh().read(2).request(2);
    private final RaceMoment moment = new RaceMoment();

    public LostTargetRace() {
        queue.settle();
        queue.cancel();
    }

    @Actor
    public void loop() {
        moment.first();
        queue.turn();
    }

    @Actor
    public void answers() {
        moment.second();
        queue.answer(queue.arrived.get(0));
    }

    @Arbiter
    public void end(III_Result result) {
        queue.settle();
        result.r1 = queue.done;
        result.r2 = queue.failed;
        result.r3 = queue.arrived.get(0).isLost() ? 1 : 0;
        queue.end();
    }
}
