package io.reactorublk;

import static org.openjdk.jcstress.annotations.Expect.ACCEPTABLE;
import static org.openjdk.jcstress.annotations.Expect.FORBIDDEN;

import io.reactorublk.uring.RaceMoment;
import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.Arbiter;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.II_Result;

/**
 * A subscriber cancels while the loop delivers to it. What is on its way may still arrive (Reactive Streams 2.8), but nothing
 * after that; and no application waits for an answer that nobody gives.
 */
@JCStressTest
@Outcome(id = "0, 3", expect = ACCEPTABLE, desc = "Nothing more was delivered, and every read has failed.")
@Outcome(id = "0, .*", expect = FORBIDDEN, desc = "A request of a cancelled queue was not answered: the application waits for ever.")
@Outcome(expect = FORBIDDEN, desc = "A request was delivered after the queue had been cancelled.")
@State
public class CancelRace {

    private final RacingQueue queue = RacingQueue.fresh().read(2).request(4);
    private final RaceMoment moment = new RaceMoment();

    @Actor
    public void loop() {
        moment.first();
        queue.turn();
        queue.turn();
    }

    @Actor
    public void cancels() {
        moment.second();
        queue.cancel();
    }

    @Arbiter
    public void end(II_Result result) {
        queue.settle();
        int before = queue.arrived.size();
        queue.read(1);
        result.r1 = queue.arrived.size() - before;
        result.r2 = queue.failed;
        queue.end();
    }
}
