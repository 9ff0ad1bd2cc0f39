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

/** An answer from another thread is put into the mailbox while the loop empties it, commits, and is about to sleep. */
@JCStressTest
@Outcome(id = "1, 2", expect = ACCEPTABLE, desc = "The answer reached the application, and nobody else's did.")
@Outcome(id = "0, .*", expect = FORBIDDEN, desc = "The answer was lost: the loop sleeps, and the application waits for ever.")
@Outcome(id = "2, .*", expect = FORBIDDEN, desc = "The answer was seen twice: it ended the other request, too.")
@Outcome(expect = FORBIDDEN, desc = "The queue answers no more.")
@State
public class MailboxRace {

    private final RacingQueue queue = RacingQueue.take().read(2).request(2).aboutToSleep();
    private final RaceMoment moment = new RaceMoment();

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
    public void end(II_Result result) {
        queue.settle();
        result.r1 = queue.done;
        queue.answer(queue.arrived.get(1));
        queue.settle();
        result.r2 = queue.done;
        if (queue.done == 2) queue.giveBack();
    }
}
