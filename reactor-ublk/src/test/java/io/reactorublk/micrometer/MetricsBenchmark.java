package io.reactorublk.micrometer;

import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.reactorublk.BlockRequest;
import io.reactorublk.QueueListener;
import io.reactorublk.memory.MemoryQueue;
import io.reactorublk.memory.MemoryUblk;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * What a request pays for being measured: as a queue does it, the clock twice and its listener once, or with {@code none}
 * nothing. What is told once for each batch is left out.
 */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(2)
@State(Scope.Thread)
public class MetricsBenchmark {

    private static final int BLOCK = 512;

    @Param({"none", "clock", "metrics"})
    private String listening;

    private final MemoryUblk ublk = MemoryUblk.create().withoutPartitionScan();
    private BlockRequest request;
    private QueueListener listener;
    private boolean timed;

    @Setup
    public void start() {
        MemoryQueue alone = ublk.queue(2);
        alone.queue().subscribe(first -> request = first);
        alone.disk().readBlocks(1).subscribe();
        ublk.settle();
        Objects.requireNonNull(request, "a read of " + BLOCK + " bytes");
        listener = listening.equals("metrics") ? UblkMetrics.of(new SimpleMeterRegistry()).forQueue(request.queue())
                : QueueListener.NONE;
        timed = !listening.equals("none");
    }

    @TearDown
    public void close() {
        ublk.close();
    }

    @Benchmark
    public BlockRequest answer() {
        long delivered = timed ? System.nanoTime() : 0;
        if (timed) listener.onCompleted(request, BLOCK, System.nanoTime() - delivered);
        return request;
    }
}
