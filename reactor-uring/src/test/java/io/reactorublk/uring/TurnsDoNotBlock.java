package io.reactorublk.uring;

import reactor.blockhound.BlockHound;
import reactor.blockhound.integration.BlockHoundIntegration;

/**
 * Tells BlockHound that a thread must not block while it turns a loop, whatever thread it is. In memory that is the test's
 * own, which may block as it likes before and after: so it is asked for each call that blocks where it comes from.
 *
 * <p>BlockHound finds this as a service, in the tests of every module.
 */
public final class TurnsDoNotBlock implements BlockHoundIntegration {

    private static final String TCK = "org.reactivestreams.tck.TestEnvironment";
    private static final StackWalker STACK = StackWalker.getInstance();

    @Override
    public void applyTo(BlockHound.Builder builder) {
        builder.addDynamicThreadPredicate(thread -> true);             // ask each time, and not once for each thread
        builder.nonBlockingThreadPredicate(known -> known.or(thread -> isTurning()));
        // Where the TCK of Reactive Streams hands over what it was signalled, it takes a lock for a moment.
        builder.allowBlockingCallsInside(TCK + "$Promise", "complete");
        builder.allowBlockingCallsInside(TCK + "$Receptacle", "add");
        builder.allowBlockingCallsInside(TCK + "$Receptacle", "complete");
    }

    /** BlockHound asks on the thread that is about to block. */
    private static boolean isTurning() {
        return STACK.walk(frames -> frames.anyMatch(TurnsDoNotBlock::isTurn));
    }

    private static boolean isTurn(StackWalker.StackFrame frame) {
        return frame.getMethodName().equals("turn") && frame.getClassName().equals(EventLoop.class.getName());
    }
}
