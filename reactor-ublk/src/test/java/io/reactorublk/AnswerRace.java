package io.reactorublk;

import static org.openjdk.jcstress.annotations.Expect.ACCEPTABLE;
import static org.openjdk.jcstress.annotations.Expect.FORBIDDEN;

import org.openjdk.jcstress.annotations.Actor;
import org.openjdk.jcstress.annotations.JCStressTest;
import org.openjdk.jcstress.annotations.Outcome;
import org.openjdk.jcstress.annotations.State;
import org.openjdk.jcstress.infra.results.ZZ_Result;

/** A target answers a request that its queue takes from it at this moment: one of them answers the kernel, never both. */
@JCStressTest
@Outcome(id = "true, false", expect = ACCEPTABLE, desc = "The target answers.")
@Outcome(id = "false, true", expect = ACCEPTABLE, desc = "The queue answers EIO, and the target comes too late.")
@Outcome(id = "true, true", expect = FORBIDDEN, desc = "Both answer: the second answer hits the next request with this tag.")
@Outcome(id = "false, false", expect = FORBIDDEN, desc = "Nobody answers: the application waits for ever.")
@State
public class AnswerRace {

    private final BlockRequest request = new BlockRequest(new FakeQueue(512), 0, Operation.FLUSH, 0, 0, 0);

    @Actor
    public void target(ZZ_Result result) {
        result.r1 = request.answer(request.complete());
    }

    @Actor
    public void queue(ZZ_Result result) {
        result.r2 = request.lose();
    }
}
