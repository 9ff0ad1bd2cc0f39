package io.reactorublk.uring;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;

/** A loop, and an end for all that a test starts. */
abstract class LoopHarness extends KernelContract {

    private final List<EventLoop> loops = new ArrayList<>();
    KernelSpy spy;
    EventLoop loop;

    @BeforeEach
    final void startLoop() {
        spy = new KernelSpy(world.kernel());
        loop = start(spy.kernel());
    }

    @AfterEach
    final void disposeLoops() {
        for (EventLoop started : loops) world.get(started.disposeGracefully());
    }

    final EventLoop start(Kernel kernel) {
        return start(kernel, new RingConfig(8, 64, false));
    }

    final EventLoop start(Kernel kernel, RingConfig config) {
        EventLoop started = EventLoop.start(kernel, "loop-under-test", config);
        loops.add(started);
        return started;
    }

    /** Runs something on the loop and waits until it has run. */
    final void onLoop(Runnable task) {
        world.get(reactor.core.publisher.Mono.fromRunnable(task).subscribeOn(loop));
    }
}
