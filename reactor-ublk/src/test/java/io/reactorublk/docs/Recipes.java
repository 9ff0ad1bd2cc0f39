package io.reactorublk.docs;

import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.WRITE;

import io.micrometer.core.instrument.MeterRegistry;
import io.reactorublk.BlockQueue;
import io.reactorublk.BlockRequest;
import io.reactorublk.BlockTarget;
import io.reactorublk.Completion;
import io.reactorublk.DataMode;
import io.reactorublk.DeviceParameters;
import io.reactorublk.DeviceStatus;
import io.reactorublk.Operation;
import io.reactorublk.QueueListener;
import io.reactorublk.Recovery;
import io.reactorublk.SharedMemory;
import io.reactorublk.Supervisor;
import io.reactorublk.UblkControl;
import io.reactorublk.UblkDevice;
import io.reactorublk.UblkServer;
import io.reactorublk.micrometer.UblkMetrics;
import io.reactorublk.target.Fault;
import io.reactorublk.target.FileTarget;
import io.reactorublk.target.Filters;
import io.reactorublk.target.RamTarget;
import io.reactorublk.target.StripeTarget;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.EventLoop;
import io.reactorublk.uring.IoBuffer;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.UringFile;
import io.reactorublk.uring.UringOpenOption;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.BooleanSupplier;
import java.util.function.UnaryOperator;
import org.reactivestreams.Publisher;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;

/** The recipes of the manual. Here so that they compile; of the public API only, as whoever copies them has no other. */
final class Recipes {

    private Recipes() {}

    // tag::scratch[]
    /** Reads as its own map: every 8 bytes hold the offset they are at. Cannot be written. */
    record OffsetDisk() implements BlockTarget {

        @Override
        public Publisher<Completion> serve(BlockQueue queue) {
            return queue.answer(request -> Mono.just(switch (request.operation()) {
                case READ -> {
                    MemorySegment data = request.data();
                    for (long i = 0; i < data.byteSize(); i += Long.BYTES) data.set(JAVA_LONG, i, request.offset() + i);
                    yield request.complete();
                }
                case FLUSH -> request.complete();
                case WRITE, DISCARD, WRITE_ZEROES -> request.fail(Errno.EREMOTEIO);
            }));
        }
    }
    // end::scratch[]

    static Mono<UblkDevice> offsetDisk() {
        // tag::start[]
        return UblkServer.create()
                .size(1L << 30)
                .readOnly()
                .serve(new OffsetDisk())
                .start();
        // end::start[]
    }

    static Mono<UblkDevice> fileDisk() {
        // tag::file[]
        FileTarget disk = FileTarget.of(Path.of("disk.img")).direct();
        return UblkServer.create()
                .size(disk.sizeBytes()).blockSize(4096)
                .fua()
                .serve(disk)
                .start();
        // end::file[]
    }

    static Mono<UblkDevice> stripedDisk() {
        // tag::stripe[]
        StripeTarget disk = StripeTarget.of(256 << 10, List.of(Path.of("/dev/nvme0n1"), Path.of("/dev/nvme1n1"))).direct();
        return UblkServer.create()
                .size(disk.sizeBytes()).blockSize(4096)
                .dataMode(DataMode.ZERO_COPY)
                .fua()
                .serve(disk)
                .start();
        // end::stripe[]
    }

    static Mono<Completion> onBoth(BlockRequest request, UringFile left, UringFile right) {
        // tag::fuse[]
        int length = (int) request.length();
        return request.fuse(List.of(
                request.transfer(left, request.offset(), 0, length),
                request.transfer(right, request.offset(), 0, length)));
        // end::fuse[]
    }

    static Mono<Integer> readIntoSharedMemory(EventLoop loop, Path device, SharedMemory memory) {
        // tag::shared[]
        MemorySegment piece = memory.allocate(64 << 10);
        return Mono.usingWhen(UringFile.open(loop, device, READ, UringOpenOption.DIRECT),
                disk -> disk.read(IoBuffer.of(piece), 0),              // the server sees these very pages
                UringFile::close);
        // end::shared[]
    }

    // tag::uring[]
    /** The core of a file target: each queue opens the file on its own ring, and the queue's end closes it. */
    record PlainFile(Path path) implements BlockTarget {

        @Override
        public Publisher<Completion> serve(BlockQueue queue) {
            return Flux.usingWhen(
                    UringFile.open(queue.loop(), path, READ, WRITE),
                    file -> queue.answer(request -> answer(file, request)),
                    UringFile::close);
        }

        private static Mono<Completion> answer(UringFile file, BlockRequest request) {
            return switch (request.operation()) {
                case READ -> file.read(request.buffer(), request.offset()).map(request::complete);
                case WRITE -> file.write(request.buffer(), request.offset()).map(request::complete);
                case FLUSH -> file.dataSync().thenReturn(request.complete());
                case DISCARD, WRITE_ZEROES ->
                        file.punchHole(request.offset(), request.length()).thenReturn(request.complete());
            };
        }
    }
    // end::uring[]

    static BlockTarget slowAndFaultyDisk() {
        // tag::filters[]
        BlockTarget disk = new RamTarget(1L << 30);
        disk = Filters.delay(Duration.ofMillis(5)).apply(disk);
        disk = Filters.fault(Fault.of(Errno.EIO).on(Operation.WRITE).randomly(0.01, 42)).apply(disk);
        disk = Filters.trace(System.out::println).apply(disk);
        // end::filters[]
        return disk;
    }

    // tag::filter[]
    /** Counts what a target gets to see. */
    static UnaryOperator<BlockTarget> counting(LongAdder requests) {
        return target -> queue -> target.serve(queue.via(flux -> flux.doOnNext(request -> requests.increment())));
    }
    // end::filter[]

    /** Something that has no asynchronous way. */
    interface Store {
        void read(long offset, MemorySegment into) throws IOException;

        void write(long offset, MemorySegment from) throws IOException;

        void force() throws IOException;
    }

    // tag::blocking[]
    record BlockingTarget(Store store) implements BlockTarget {

        @Override
        public Publisher<Completion> serve(BlockQueue queue) {
            return queue.answer(32, request -> Mono.fromCallable(() -> answer(request))
                    .subscribeOn(Schedulers.boundedElastic()));
        }

        private Completion answer(BlockRequest request) throws IOException {
            switch (request.operation()) {
                case READ -> store.read(request.offset(), request.data());
                case WRITE -> store.write(request.offset(), request.data());
                case FLUSH -> store.force();
                case DISCARD, WRITE_ZEROES -> {
                    return request.fail(Errno.EOPNOTSUPP);
                }
            }
            return request.complete();
        }
    }
    // end::blocking[]

    static Publisher<Completion> atMost16(BlockQueue queue) {
        // tag::concurrency[]
        return queue.answer(16, request -> Mono.just(request.complete()).delayElement(Duration.ofMillis(1), queue.loop()));
        // end::concurrency[]
    }

    // tag::operators[]
    /** Any operator will do, as long as each request is answered once. */
    static Publisher<Completion> inOrder(BlockQueue queue) {
        return queue.concatMap(request -> Mono.just(request.complete()), 0);
    }
    // end::operators[]

    // tag::listener[]
    /** How well batching works, and who is the limit. One instance for all queues, so its fields are safe for many threads. */
    static final class Batches implements QueueListener {

        private final LongAdder fetches = new LongAdder();
        private final LongAdder fetched = new LongAdder();
        private final LongAdder starved = new LongAdder();

        @Override
        public void onFetched(BlockQueue queue, int tags) {
            fetches.increment();
            fetched.add(tags);
        }

        @Override
        public void onStarved(BlockQueue queue) {
            starved.increment();
        }

        double tagsPerFetch() {
            return fetched.sum() / (double) fetches.sum();
        }

        long starvations() {
            return starved.sum();
        }
    }
    // end::listener[]

    static UblkServer measured(UblkServer server, MeterRegistry registry) {
        // tag::metrics[]
        UblkMetrics metrics = UblkMetrics.of(registry);
        return server.listener(metrics).controlListener(metrics);
        // end::metrics[]
    }

    static void stopWithTheProgram(UblkServer server) {
        // tag::stop[]
        UblkDevice device = server.start().blockOptional().orElseThrow();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> device.disposeLater().block(Duration.ofSeconds(30))));
        device.onDispose().block();                                // until somebody disposes it, or a queue fails
        // end::stop[]
    }

    static void removeOrphans() {
        // tag::control[]
        try (UblkControl control = UblkControl.create()) {
            control.list()
                    .filter(DeviceStatus::isRecoverable)               // nobody serves them
                    .doOnNext(device -> System.out.println(device.path() + " was left by process " + device.serverPid()))
                    .flatMap(device -> control.remove(device.id()))
                    .blockLast();
        }
        // end::control[]
    }

    /** Of writes, in the order of their execution. */
    interface Journal {
        /** Begins an empty one. */
        Mono<Void> create(DeviceParameters disk);

        /** Goes on with what is there. Each of its last {@code count} entries, if it is appended again, is recognized once. */
        Mono<Void> reopen(int count);

        Mono<Void> append(long offset, MemorySegment bytes);
    }

    // tag::resume[]
    /** Keeps a journal of all writes, in which none may stand twice. */
    record Journaled(BlockTarget disk, Journal journal) implements BlockTarget {

        @Override
        public Publisher<Completion> serve(BlockQueue queue) {
            Mono<Void> begun = queue.isRecovered() ? journal.reopen(queue.depth())    // no more can have been under way
                    : journal.create(queue.parameters());
            return begun.thenMany(Flux.defer(() -> disk.serve(queue.holdUntil(request -> request.operation() != Operation.WRITE ? Mono.empty()
                    : journal.append(request.offset(), request.data())))));
        }
    }
    // end::resume[]

    static Mono<UblkDevice> recoverOrStart(FileTarget disk, UblkControl control) {
        // tag::recover[]
        UblkServer server = UblkServer.create()
                .size(disk.sizeBytes())
                .recovery(Recovery.REISSUE)
                .id(7)
                .serve(disk);
        return server.recover(7)
                .onErrorResume(e -> e instanceof KernelException refusal && refusal.errno() == Errno.ENODEV,
                        e -> control.remove(7).onErrorComplete()       // of one that died before the device was there
                                .then(server.start()));                // the first one makes it
        // end::recover[]
    }

    // tag::supervisor[]
    /** Keeps a server running in a process of its own. Ends with the first one that ends with status 0. */
    static void supervise() {
        Supervisor.of(new ProcessBuilder("java", "-XX:+ExitOnOutOfMemoryError", "-cp", "disk.jar", "com.example.Disk").inheritIO())
                .backoff(Duration.ofMillis(100), Duration.ofSeconds(10))   // the pauses before the next start: they double
                .run()
                .doOnNext(server -> System.out.println("served by process " + server.pid()))
                .blockLast();
    }

    /** What it runs: the first one makes the device, the others take it over. Ends when the device is disposed. */
    static void serve(FileTarget disk, UblkControl control) {
        UblkDevice device = recoverOrStart(disk, control).blockOptional().orElseThrow();
        device.onDispose().block();
    }
    // end::supervisor[]

    // tag::upgrade[]
    /** In the server that ends. The next one learns by {@code tell} that it may come, and answers whether it has. */
    static UblkDevice handOver(UblkDevice device, UblkServer server, BooleanSupplier tell) {
        device.handOver().block();
        return tell.getAsBoolean() ? device : server.recover(device.id()).blockOptional().orElseThrow();
    }

    /** In the server that begins. {@code ask} asks the other one for its device, and waits until it may come. */
    static UblkDevice takeOver(UblkServer server, int id, Runnable ask) {
        server.rehearse(id).block();                               // what can fail before does, and the JVM is warm
        ask.run();
        return server.recover(id).blockOptional().orElseThrow();
    }
    // end::upgrade[]
}
