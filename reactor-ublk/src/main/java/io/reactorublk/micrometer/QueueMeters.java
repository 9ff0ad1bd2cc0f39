package io.reactorublk.micrometer;

import static io.reactorublk.micrometer.UblkMeter.COMMIT_TAGS;
import static io.reactorublk.micrometer.UblkMeter.FETCH_STARVED;
import static io.reactorublk.micrometer.UblkMeter.FETCH_TAGS;
import static io.reactorublk.micrometer.UblkMeter.LOOP_TURN;
import static io.reactorublk.micrometer.UblkMeter.REQUEST;
import static io.reactorublk.micrometer.UblkMeter.REQUEST_BYTES;
import static io.reactorublk.micrometer.UblkMeter.TAGS_INFLIGHT;

import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.DistributionSummary;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.Timer;
import io.reactorublk.BlockQueue;
import io.reactorublk.BlockRequest;
import io.reactorublk.Operation;
import io.reactorublk.QueueListener;
import io.reactorublk.uring.Errno;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import reactor.core.Disposable;

/**
 * The meters of one queue, looked up in the registry once: a request finds its own in an {@link EnumMap}, which is an array.
 * On the queue's loop.
 */
final class QueueMeters implements QueueListener {

    private final MeterRegistry registry;
    private final Tags tags;
    /** To be removed at the end. */
    private final List<Meter> registered = new ArrayList<>();

    private final Map<Operation, OperationMeters> operations = new EnumMap<>(Operation.class);
    private final DistributionSummary fetched;
    private final DistributionSummary committed;
    private final Counter starved;
    /** The loop adds to it, whoever looks at the gauge reads it. */
    private final AtomicInteger inFlight = new AtomicInteger();
    /** The loop may live on, with other queues. */
    private final Disposable turnSamples;

    QueueMeters(MeterRegistry registry, BlockQueue queue) {
        this.registry = registry;
        tags = Tags.of("device", "ublkb" + queue.deviceId(), "queue", Integer.toString(queue.id()));
        for (Operation operation : Operation.values()) operations.put(operation, new OperationMeters(operation));
        fetched = summary(FETCH_TAGS, tags);
        committed = summary(COMMIT_TAGS, tags);
        starved = register(Counter.builder(FETCH_STARVED.meterName()).description(FETCH_STARVED.description())
                .tags(tags).register(registry));
        register(Gauge.builder(TAGS_INFLIGHT.meterName(), inFlight, AtomicInteger::get).description(TAGS_INFLIGHT.description())
                .tags(tags).register(registry));
        Timer turns = register(Timer.builder(LOOP_TURN.meterName()).description(LOOP_TURN.description()).tags(tags).register(registry));
        turnSamples = queue.loop().sampleTurns(nanos -> turns.record(nanos, TimeUnit.NANOSECONDS));
    }

    private DistributionSummary summary(UblkMeter meter, Tags all) {
        return register(DistributionSummary.builder(meter.meterName()).description(meter.description())
                .baseUnit(meter.unit()).tags(all).register(registry));
    }

    private <M extends Meter> M register(M meter) {
        registered.add(meter);
        return meter;
    }

    @Override
    public void onFetched(BlockQueue queue, int count) {
        addInFlight(count);
        fetched.record(count);
    }

    private void addInFlight(int count) {
        inFlight.setRelease(inFlight.getPlain() + count);
    }

    @Override
    public void onStarved(BlockQueue queue) {
        starved.increment();
    }

    /** What a commit takes along is in flight no longer, whoever has answered it: not every tag becomes a request. */
    @Override
    public void onCommitted(BlockQueue queue, int completions) {
        addInFlight(-completions);
        committed.record(completions);
    }

    @Override
    public void onCompleted(BlockRequest request, int result, long nanos) {
        Objects.requireNonNull(operations.get(request.operation())).record(request, result, nanos);
    }

    @Override
    public void onClosed(BlockQueue queue) {
        turnSamples.dispose();
        for (Meter meter : registered) registry.remove(meter);
    }

    /** Those of one kind of request. */
    private final class OperationMeters {

        private final Tags ownTags;
        private final Timer done;
        /** The loop adds to it, whoever looks at the counter reads it: cheaper than one that many could add to. */
        private final AtomicLong bytes = new AtomicLong();
        /** There are many errors, most of which never happen: registered when they do. */
        private final Map<Errno, Timer> failed = new EnumMap<>(Errno.class);

        OperationMeters(Operation operation) {
            ownTags = tags.and("operation", operation.name().toLowerCase(Locale.ROOT));
            done = timer("ok");
            if (operation == Operation.FLUSH) return;
            register(FunctionCounter.builder(REQUEST_BYTES.meterName(), bytes, AtomicLong::get).description(REQUEST_BYTES.description())
                    .baseUnit(REQUEST_BYTES.unit()).tags(ownTags).register(registry));
        }

        private Timer timer(String outcome) {
            return register(Timer.builder(REQUEST.meterName()).description(REQUEST.description())
                    .tags(ownTags.and("outcome", outcome)).register(registry));
        }

        void record(BlockRequest request, int result, long nanos) {
            if (result < 0) {
                failed.computeIfAbsent(Errno.of(result), errno -> timer(errno.name())).record(nanos, TimeUnit.NANOSECONDS);
                return;
            }
            done.record(nanos, TimeUnit.NANOSECONDS);
            bytes.setRelease(bytes.getPlain() + (request.operation().hasData() ? result : request.length()));
        }
    }
}
