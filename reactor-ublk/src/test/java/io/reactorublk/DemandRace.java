package io.reactorublk;

import static org.openjdk.jcstress.annotations.Expect.ACCEPTABLE;
import static org.openjdk.jcstress.annotations.Expect.FORBIDDEN;

import io.reactorublk.uring.RaceMoment;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Arbiter;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.I_Result;

/** A subscriber asks for one more while the loop lends what was asked for before. In the kernel wait more than both. */
@JCStressTest
@Outcome(id = "2", expect = ACCEPTABLE, desc = "As many were delivered as were asked for.")
@Outcome(id = "1", expect = FORBIDDEN, desc = "Demand was lost: what was asked for waits in the kernel, and the loop sleeps.")
@Outcome(expect = FORBIDDEN, desc = "More was delivered than was asked for.")
@State
public class DemandRace {

    private final RacingQueue queue = RacingQueue.take().read(3).request(1);
    private final RaceMoment moment = new RaceMoment();

    @Actor
    public void loop() {
        moment.first();
        queue.turn();
        queue.turn();
    }

    @Actor
    public void asks() {
        moment.second();
        queue.request(1);
    }

    @Arbiter
    public void end(I_Result result) {
        queue.settle();
        result.r1 = queue.arrived.size();
        if (result.r1 != 2) return;
        queue.request(1).settle();
        for (BlockRequest request : queue.arrived) queue.answer(request);
        queue.settle();
        if (queue.done == 3) queue.giveBack();
    }
}
