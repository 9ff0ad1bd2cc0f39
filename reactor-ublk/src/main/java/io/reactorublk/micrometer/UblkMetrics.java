package io.reactorublk.micrometer;

import io.micrometer.core.instrument.MeterRegistry;
import io.reactorublk.BlockQueue;
import io.reactorublk.QueueListener;
import java.util.Objects;

/**
 * Binds the queues of devices to a registry, as the {@linkplain UblkMeter meters} of each. They are registered when the queue
 * starts and removed when it has ended.
 *
 * {@snippet file="io/reactorublk/Snippets.java" region="metrics"}
 *
 * <p>One instance serves any number of devices, also those of several servers. A request costs two recordings and no garbage.
 * Common tags, histograms and names of your own are a matter of the registry's
 * {@link io.micrometer.core.instrument.config.MeterFilter}s; that device and queue stay apart is assumed.
 */
public final class UblkMetrics implements QueueListener {

    private final MeterRegistry registry;

    private UblkMetrics(MeterRegistry registry) {
        this.registry = registry;
    }

    /** The listener to give to {@link io.reactorublk.UblkServer#listener}; alone, or {@linkplain #and with} another. */
    public static UblkMetrics of(MeterRegistry registry) {
        return new UblkMetrics(Objects.requireNonNull(registry));
    }

    @Override
    public QueueListener forQueue(BlockQueue queue) {
        return new QueueMeters(registry, queue);
    }
}
