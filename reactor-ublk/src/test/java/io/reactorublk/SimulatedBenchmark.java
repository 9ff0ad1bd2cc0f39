package io.reactorublk;

import com.sun.management.ThreadMXBean;
import io.reactorublk.memory.MemoryDisk;
import io.reactorublk.memory.MemoryUblk;
import io.reactorublk.target.NullTarget;
import io.reactorublk.uring.EventLoop;
import io.reactorublk.uring.Kernel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import java.util.BitSet;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;
import org.openjdk.jmh.infra.IterationParams;
import org.openjdk.jmh.runner.IterationType;

/**
 * What a request costs in memory, on one CPU: an application reads 64 times 4 KiB at once from a {@link NullTarget} of depth 64.
 *
 * <p>{@code requests} is how many requests a simulation gets through in a second, all of it counted: the application, the
 * kernel in memory, the queue and the target. {@code turns} counts what of the bytes allocated is ours: a turn of the loop,
 * but for what happens inside the system calls it makes, which is where the kernel in memory has all its work then. Each fork
 * of it ends with these bytes; its time means nothing.
 */
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 10, time = 2)
@Measurement(iterations = 5, time = 1)
@Fork(2)
public class SimulatedBenchmark {

    private static final int DEPTH = 64;
    private static final int BLOCK = 4096;
    private static final UblkServer SERVER = UblkServer.create().size(DEPTH * BLOCK).queueDepth(DEPTH).maxIoBytes(BLOCK)
            .serve(new NullTarget());

    /** As a test would: all in memory, until it has settled. */
    @State(Scope.Thread)
    public static class Simulated {

        private final MemoryUblk ublk = MemoryUblk.create().withoutPartitionScan();
        private MemoryDisk disk;
        private long done;

        @Setup
        public void start() {
            UblkDevice device = ublk.get(SERVER.kernel(ublk.kernel()).start());
            disk = ublk.disk(device);
        }
    }

    @Benchmark
    @OperationsPerInvocation(DEPTH)
    public void requests(Simulated simulated) {
        long before = simulated.done;
        read(simulated.disk, () -> simulated.done++);
        simulated.ublk.settle();
        if (simulated.done - before != DEPTH) throw new IllegalStateException("reads are missing");
    }

    /** The queue's loop is turned here, so that it is known when a turn begins and ends. */
    @State(Scope.Thread)
    public static class Turned {

        private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

        private final MemoryUblk ublk = MemoryUblk.create().withoutPartitionScan();
        private final CountingKernel kernel = new CountingKernel(ublk.kernel());
        private MemoryDisk disk;
        private long done;
        private long ownBytes;
        private long allBytes;
        private long counted;

        @Setup
        public void start() {
            CompletableFuture<UblkDevice> device = SERVER.kernel(kernel).start().toFuture();
            while (!device.isDone()) {
                ublk.settle();
                if (kernel.loop != null) kernel.loop.turn();
            }
            disk = ublk.disk(device.join());
        }

        void turn() {
            EventLoop loop = kernel.loop;
            long kernelBefore = kernel.bytes;
            long before = THREADS.getCurrentThreadAllocatedBytes();
            loop.turn();
            ownBytes += THREADS.getCurrentThreadAllocatedBytes() - before - (kernel.bytes - kernelBefore);
        }

        /** What was seen while warming up does not count. */
        @TearDown(Level.Iteration)
        public void forget(IterationParams iteration) {
            if (iteration.getType() != IterationType.WARMUP) return;
            ownBytes = 0;
            allBytes = 0;
            counted = 0;
        }

        @TearDown
        public void print() {
            System.out.printf(Locale.ROOT, "%nbytes allocated for each request: %.1f by the queue, its loop and its target, of %.1f in all%n",
                    (double) ownBytes / counted, (double) allBytes / counted);
        }
    }

    @Benchmark
    @OperationsPerInvocation(DEPTH)
    public void turns(Turned turned) {
        long before = turned.done;
        long bytesBefore = Turned.THREADS.getCurrentThreadAllocatedBytes();
        read(turned.disk, () -> turned.done++);
        while (turned.done - before != DEPTH) {
            turned.ublk.settle();
            turned.turn();
        }
        turned.allBytes += Turned.THREADS.getCurrentThreadAllocatedBytes() - bytesBefore;
        turned.counted += DEPTH;
    }

    private static void read(MemoryDisk disk, Runnable done) {
        for (int i = 0; i < DEPTH; i++) disk.read((long) i * BLOCK, BLOCK).subscribe(bytes -> done.run());
    }

    /** The kernel in memory; but it does not turn the loops of queues, and counts what is allocated inside {@code io_uring_enter}. */
    private static final class CountingKernel implements Kernel {

        private final Kernel memory;
        private @Nullable EventLoop loop;
        private long bytes;

        CountingKernel(Kernel memory) {
            this.memory = memory;
        }

        @Override
        public int ioUringEnter(int ring, int toSubmit, int minComplete, int flags, MemorySegment argument) {
            long before = Turned.THREADS.getCurrentThreadAllocatedBytes();
            int result = memory.ioUringEnter(ring, toSubmit, minComplete, flags, argument);
            bytes += Turned.THREADS.getCurrentThreadAllocatedBytes() - before;
            return result;
        }

        @Override
        public void start(EventLoop started) {
            if (started.name().contains("-q")) {
                loop = started;
            } else {
                memory.start(started);
            }
        }

        @Override
        public int ioUringSetup(int entries, MemorySegment params) {
            return memory.ioUringSetup(entries, params);
        }

        @Override
        public int ioUringRegister(int ring, int opcode, MemorySegment argument, int count) {
            return memory.ioUringRegister(ring, opcode, argument, count);
        }

        @Override
        public int open(String path, int flags, int mode) {
            return memory.open(path, flags, mode);
        }

        @Override
        public List<String> list(String directory) {
            return memory.list(directory);
        }

        @Override
        public void close(int fd) {
            memory.close(fd);
        }

        @Override
        public MemorySegment mmap(int fd, long offset, long length, int protection, int flags, Arena arena) {
            return memory.mmap(fd, offset, length, protection, flags, arena);
        }

        @Override
        public void ftruncate(int fd, long lengthBytes) {
            memory.ftruncate(fd, lengthBytes);
        }

        @Override
        public long lseekEnd(int fd) {
            return memory.lseekEnd(fd);
        }

        @Override
        public void mlock(MemorySegment locked) {
            memory.mlock(locked);
        }

        @Override
        public int eventfd() {
            return memory.eventfd();
        }

        @Override
        public void eventfdWrite(int fd) {
            memory.eventfdWrite(fd);
        }

        @Override
        public void schedSetaffinity(BitSet cpus) {
            memory.schedSetaffinity(cpus);
        }

        @Override
        public void prctl(int option, long argument) {
            memory.prctl(option, argument);
        }

        @Override
        public long nanoTime() {
            return memory.nanoTime();
        }
    }
}
