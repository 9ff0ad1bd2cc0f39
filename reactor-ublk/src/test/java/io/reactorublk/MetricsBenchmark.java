package io.reactorublk;

import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.reactorublk.memory.MemoryQueue;
import io.reactorublk.memory.MemoryUblk;
import io.reactorublk.micrometer.UblkMetrics;
import io.reactorublk.uring.Kernel;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;
import org.openjdk.jmh.infra.Blackhole;

/**
 * What a request pays for being measured, by what its queue does for that: with {@code none} nothing, with {@code clock} for a
 * listener that hears nothing, with {@code metrics} for meters. Alone is the worst case, a request that arrives alone and leaves
 * alone; in a batch it shares the clock, and what is told of the batch, with others.
 */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(2)
@State(Scope.Thread)
public class MetricsBenchmark {

    private static final int BATCH = 16;
    private static final int PAGE = 4096;

    @Param({"none", "clock", "metrics"})
    private String listening;

    private final MemoryUblk ublk = MemoryUblk.create().withoutPartitionScan();
    private final List<BlockRequest> requests = new ArrayList<>();
    private BlockQueue queue;
    private QueueListener listener;
    private @Nullable RequestTimes times;

    @Setup
    public void start() {
        MemoryQueue alone = ublk.queue(BATCH);
        queue = alone.queue();
        queue.subscribe(requests::add);
        alone.disk().readBlocks(BATCH).subscribe();
        ublk.settle();
        if (requests.size() != BATCH) throw new IllegalStateException(BATCH + " reads were asked for: " + requests);
        listener = switch (listening) {
            case "none" -> QueueListener.NONE;
            case "clock" -> new QueueListener() {};
            default -> UblkMetrics.of(new SimpleMeterRegistry()).forQueue(queue);
        };
        times = listener == QueueListener.NONE ? null : new RequestTimes(Kernel.linux(), listener, BATCH);   // for its clock
    }

    @TearDown
    public void close() {
        ublk.close();
    }

    @Benchmark
    public void alone(Blackhole answers) {
        serve(1, answers);
    }

    @Benchmark
    @OperationsPerInvocation(BATCH)
    public void inABatch(Blackhole answers) {
        serve(BATCH, answers);
    }

    /** As {@link UblkQueue} does it when requests arrive, when they are answered, and when they leave. */
    private void serve(int count, Blackhole answers) {
        listener.onFetched(queue, count);
        if (times != null) times.arrive();
        for (int i = 0; i < count; i++) {
            BlockRequest request = requests.get(i);
            if (times != null) times.arrived(request.tag());
            if (times != null) times.answered(request, PAGE);
            answers.consume(request);
        }
        if (times != null) times.leave();
        listener.onCommitted(queue, count);
    }
}
