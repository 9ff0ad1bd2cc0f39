package io.reactorublk.uring;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.reactorublk.uring.abi.io_uring_h;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.AuxCounters;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;
import org.openjdk.jmh.infra.IterationParams;
import org.openjdk.jmh.runner.IterationType;

/**
 * What a turn of {@link Ring} costs, against the same in C: stage a batch, enter once, reap.
 *
 * <p>On a machine with other work two benchmarks that run one after the other say little about each other. So both sides take
 * turns here, a millisecond each, in one JVM: {@code pair:java} and {@code pair:c} are ns for a batch, and each fork ends with
 * their ratio. The time of {@code pair} itself means nothing.
 *
 * <p>Of the ratio there are two, which agree if they are worth anything: the median over the pairs, and the ratio of the
 * fastest tenth of the slices of each side. Unlike the means of JMH they hardly depend on what else the machine does.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 3, time = 1)
@Fork(value = 3, jvmArgsAppend = "--enable-native-access=ALL-UNNAMED")
public class NopBenchmark {

    private static final int ENTRIES = 64;
    private static final long SLICE_NANOS = 1_000_000;
    /** Batches between two looks at the clock, so that neither the look nor the way into C counts. */
    private static final int BATCHES = 100;

    @Param({"1", "8", "32"})
    public int batch;

    private Ring ring;
    private long completed;
    private final CompletionHandler handler = (result, flags) -> completed += result + 1;

    private final List<Double> ratios = new ArrayList<>();
    private final List<Double> ofJava = new ArrayList<>();
    private final List<Double> ofC = new ArrayList<>();

    private Arena library;
    private MethodHandle nopRun;
    private MemorySegment nopRing;

    @Setup
    public void open() throws Throwable {
        ring = Ring.open(Kernel.linux(), new RingConfig(ENTRIES, 2 * ENTRIES, false));
        ring.enable();

        library = Arena.ofShared();
        SymbolLookup symbols = SymbolLookup.libraryLookup(compile(), library);
        Linker linker = Linker.nativeLinker();
        MethodHandle open = linker.downcallHandle(symbols.findOrThrow("nop_open"), FunctionDescriptor.of(ADDRESS, JAVA_INT, JAVA_INT));
        nopRun = linker.downcallHandle(symbols.findOrThrow("nop_run"), FunctionDescriptor.of(JAVA_LONG, ADDRESS, JAVA_LONG, JAVA_INT));
        nopRing = (MemorySegment) open.invokeExact(ENTRIES, ring.setupFlags() & ~io_uring_h.IORING_SETUP_R_DISABLED());
        if (nopRing.equals(MemorySegment.NULL)) throw new IOException("nop.c: io_uring_setup failed");
    }

    private static Path compile() throws IOException, InterruptedException {
        Path directory = Files.createTempDirectory("nop");
        Path library = directory.resolve("libnop.so");
        directory.toFile().deleteOnExit();                             // in the reverse order: first what is in it
        library.toFile().deleteOnExit();
        Path source = Path.of("src/test/c/nop.c");
        if (!Files.exists(source)) source = Path.of("../reactor-uring").resolve(source);
        int exit = new ProcessBuilder("cc", "-O2", "-shared", "-fPIC", "-o", library.toString(), source.toString())
                .inheritIO().start().waitFor();
        if (exit != 0) throw new IOException("cc " + source + " failed with " + exit);
        return library;
    }

    @TearDown
    public void close() {
        ring.close();
        library.close();
    }

    /** What was seen while warming up does not count. */
    @TearDown(Level.Iteration)
    public void forget(IterationParams iteration) {
        if (iteration.getType() != IterationType.WARMUP) return;
        ratios.clear();
        ofJava.clear();
        ofC.clear();
    }

    @TearDown
    public void printRatios() {
        System.out.printf(Locale.ROOT, "%nbatch %d: java %.1f ns, c %.1f ns, ratio %.3f; median ratio of %d pairs %.3f%n", batch,
                quantile(ofJava, 0.1), quantile(ofC, 0.1), quantile(ofJava, 0.1) / quantile(ofC, 0.1), ratios.size(),
                quantile(ratios, 0.5));
    }

    private static double quantile(List<Double> values, double share) {
        values.sort(null);
        return values.get((int) (values.size() * share));
    }

    /** JMH divides the time of an iteration by each counter: so they count in batches what the whole pair could have done. */
    @AuxCounters
    @State(Scope.Thread)
    public static class Sides {
        public double java;
        public double c;
    }

    @Benchmark
    public void pair(Sides sides) throws Throwable {
        boolean javaFirst = (ratios.size() & 1) == 0;
        long start = System.nanoTime();
        double java = javaFirst ? sliceOfJava() : 0;
        double c = sliceOfC();
        if (!javaFirst) java = sliceOfJava();
        double nanos = System.nanoTime() - start;
        ratios.add(java / c);
        ofJava.add(java);
        ofC.add(c);
        sides.java += nanos / java;
        sides.c += nanos / c;
    }

    /** Nanoseconds for a batch. */
    private double sliceOfJava() {
        long start = System.nanoTime();
        long nanos = 0;
        long batches = 0;
        for (; nanos < SLICE_NANOS; nanos = System.nanoTime() - start) {
            runJava();
            batches += BATCHES;
        }
        return (double) nanos / batches;
    }

    private double sliceOfC() throws Throwable {
        long start = System.nanoTime();
        long nanos = 0;
        long batches = 0;
        for (; nanos < SLICE_NANOS; nanos = System.nanoTime() - start) {
            long seen = (long) nopRun.invokeExact(nopRing, (long) BATCHES, batch);
            if (seen != (long) BATCHES * batch) throw new IllegalStateException("completions are missing");
            batches += BATCHES;
        }
        return (double) nanos / batches;
    }

    private void runJava() {
        long before = completed;
        for (int i = 0; i < BATCHES; i++) {
            for (int j = 0; j < batch; j++) ring.stage(handler).nop();
            ring.enter(true, Ring.FOREVER);
            ring.reap();
        }
        if (completed - before != (long) BATCHES * batch) throw new IllegalStateException("completions are missing");
    }
}
