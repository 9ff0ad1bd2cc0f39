package io.reactorublk.uring;

import java.util.ArrayList;
import java.util.List;
import java.util.function.LongConsumer;
import reactor.util.Logger;
import reactor.util.Loggers;

/** Times some turns of a loop, without the system call, in which it may sleep; none if nobody wants to know. On the loop. */
final class TurnSamples {

    private static final Logger LOG = Loggers.getLogger(TurnSamples.class);

    private final Kernel kernel;
    private final List<LongConsumer> listeners = new ArrayList<>();
    private int turns;
    private boolean timed;
    private long workedNanos;
    private long sinceNanos;

    TurnSamples(Kernel kernel) {
        this.kernel = kernel;
    }

    void add(LongConsumer listener) {
        listeners.add(listener);
    }

    void remove(LongConsumer listener) {
        listeners.remove(listener);
    }

    void turnBegins() {
        timed = !listeners.isEmpty() && turns++ % EventLoop.TURNS_A_SAMPLE == 0;
        if (timed) sinceNanos = kernel.nanoTime();
    }

    void enters() {
        if (timed) workedNanos = kernel.nanoTime() - sinceNanos;
    }

    void isBack() {
        if (timed) sinceNanos = kernel.nanoTime();
    }

    void turnEnds() {
        if (!timed) return;
        workedNanos += kernel.nanoTime() - sinceNanos;
        for (int i = 0; i < listeners.size(); i++) {
            try {
                listeners.get(i).accept(workedNanos);
            } catch (Throwable e) {
                if (e instanceof VirtualMachineError || e instanceof LinkageError) throw e;   // as of a completion handler
                LOG.error("who watches turns failed; the loop goes on", e);
            }
        }
    }
}
