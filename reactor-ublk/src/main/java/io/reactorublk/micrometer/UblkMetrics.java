package io.reactorublk.micrometer;

import static io.reactorublk.micrometer.UblkMeter.CONTROL;

import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;
import io.reactorublk.BlockQueue;
import io.reactorublk.ControlListener;
import io.reactorublk.QueueListener;
import io.reactorublk.uring.Errno;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Binds the queues of devices to a registry, as the {@linkplain UblkMeter meters} of each. They are registered when the queue
 * starts and removed when it has ended.
 *
 * {@snippet file="io/reactorublk/Snippets.java" region="metrics"}
 *
 * <p>One instance serves any number of devices, also those of several servers, and any {@link
 * io.reactorublk.UblkControl}. A request costs one recording and no garbage.
 * Common tags, histograms and names of your own are a matter of the registry's
 * {@link io.micrometer.core.instrument.config.MeterFilter}s; that device and queue stay apart is assumed.
 */
public final class UblkMetrics implements QueueListener, ControlListener {

    private final MeterRegistry registry;

    private UblkMetrics(MeterRegistry registry) {
        this.registry = registry;
    }

    /**
     * What to give to {@link io.reactorublk.UblkServer#listener}, alone or {@linkplain #and with} another, and to
     * {@link io.reactorublk.UblkServer#controlListener}.
     */
    public static UblkMetrics of(MeterRegistry registry) {
        return new UblkMetrics(Objects.requireNonNull(registry));
    }

    @Override
    public QueueListener forQueue(BlockQueue queue) {
        return new QueueMeters(registry, queue);
    }

    @Override
    public void onCommand(String command, int deviceId, @Nullable Errno refusal, long nanos) {
        Timer.builder(CONTROL.meterName()).description(CONTROL.description())
                .tags("command", command, "outcome", refusal == null ? "ok" : refusal.name())
                .register(registry).record(nanos, TimeUnit.NANOSECONDS);
    }
}
