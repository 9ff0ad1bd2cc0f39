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
import java.util.concurrent.TimeUnit;
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

/**
 * What a turn of {@link Ring} costs, against the same in C. The unit is one batch: stage, enter once, reap. Both sides run a
 * thousand batches a call, so that crossing into C is not counted.
 *
 * <p>Compare {@code java} with {@code c} of the same run; the figures of two runs on a shared machine say little.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(value = 3, jvmArgsAppend = "--enable-native-access=ALL-UNNAMED")
public class NopBenchmark {

    private static final int BATCHES = 1000;
    private static final int ENTRIES = 64;

    @Param({"1", "8", "32"})
    public int batch;

    private Ring ring;
    private long completed;
    private final CompletionHandler handler = (result, flags) -> completed += result + 1;

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

    @Benchmark
    @OperationsPerInvocation(BATCHES)
    public long java() {
        long before = completed;
        for (int i = 0; i < BATCHES; i++) {
            for (int j = 0; j < batch; j++) ring.stage(handler).nop();
            ring.enter(true, Ring.FOREVER);
            ring.reap();
        }
        if (completed - before != (long) BATCHES * batch) throw new IllegalStateException("completions are missing");
        return completed;
    }

    @Benchmark
    @OperationsPerInvocation(BATCHES)
    public long c() throws Throwable {
        long seen = (long) nopRun.invokeExact(nopRing, (long) BATCHES, batch);
        if (seen != (long) BATCHES * batch) throw new IllegalStateException("completions are missing");
        return seen;
    }
}
