package io.reactorublk;

import static java.nio.file.StandardOpenOption.READ;

import io.micrometer.core.instrument.MeterRegistry;
import io.reactorublk.micrometer.UblkMetrics;
import io.reactorublk.target.Fault;
import io.reactorublk.target.FileTarget;
import io.reactorublk.target.Filters;
import io.reactorublk.target.RamTarget;
import io.reactorublk.target.StripeTarget;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.EventLoop;
import io.reactorublk.uring.IoBuffer;
import io.reactorublk.uring.UringFile;
import io.reactorublk.uring.UringOpenOption;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import reactor.core.publisher.Mono;

/** The examples that the javadoc shows. Here so that they compile. */
final class Snippets {

    private Snippets() {}

    static void nullDisk() {
        // @start region="null"
        UblkServer.create()
                .size(250L << 30)
                .queues(2).queueDepth(128)
                .serve(queue -> queue.answer(request -> Mono.just(request.complete())))
                .start()
                .doOnNext(device -> System.out.println(device.path()))    // /dev/ublkb0
                .flatMap(device -> device.onDispose())
                .block();
        // @end
    }

    static void fileDisk() {
        // @start region="file"
        FileTarget disk = FileTarget.of(Path.of("disk.img")).direct();
        UblkServer.create()
                .size(disk.sizeBytes()).blockSize(4096)
                .fua()
                .serve(disk)
                .start()
                .doOnNext(device -> System.out.println(device.path()))
                .flatMap(device -> device.onDispose())
                .block();
        // @end
    }

    static void stripedDisk() {
        // @start region="stripe"
        StripeTarget disk = StripeTarget.of(256 << 10, List.of(Path.of("/dev/nvme0n1"), Path.of("/dev/nvme1n1"))).direct();
        UblkServer.create()
                .size(disk.sizeBytes()).blockSize(4096)
                .dataMode(DataMode.ZERO_COPY)
                .fua()
                .serve(disk)
                .start()
                .flatMap(device -> device.onDispose())
                .block();
        // @end
    }

    static Mono<Completion> onBothDisks(BlockRequest request, UringFile left, UringFile right) {
        // @start region="fused"
        return request.fuse(List.of(
                request.transfer(left, request.offset(), 0, (int) request.length()),
                request.transfer(right, request.offset(), 0, (int) request.length())));
        // @end
    }

    static void supervisor() {
        // @start region="supervisor"
        Supervisor.of(new ProcessBuilder("java", "-cp", "disk.jar", "com.example.Disk").inheritIO())
                .run()
                .blockLast();
        // @end
    }

    static void control() {
        // @start region="control"
        try (UblkControl control = UblkControl.create()) {
            control.list()
                    .filter(device -> device.state() == DeviceStatus.State.QUIESCED)
                    .flatMap(device -> control.remove(device.id()))    // whoever waited for its server gets EIO
                    .blockLast();
        }
        // @end
    }

    static Mono<Integer> readIntoSharedMemory(EventLoop loop, Path device, SharedMemory memory) {
        // @start region="shared"
        MemorySegment piece = memory.allocate(64 << 10);
        return Mono.usingWhen(UringFile.open(loop, device, READ, UringOpenOption.DIRECT),
                disk -> disk.read(IoBuffer.of(piece), 0),              // the server sees these very pages
                UringFile::close);
        // @end
    }

    static UblkServer measured(UblkServer server, MeterRegistry registry) {
        // @start region="metrics"
        UblkMetrics metrics = UblkMetrics.of(registry);
        server = server.listener(metrics).controlListener(metrics);
        // @end
        return server;
    }

    static BlockTarget slowAndFaultyDisk() {
        // @start region="filters"
        BlockTarget disk = new RamTarget(1 << 30);
        disk = Filters.delay(Duration.ofMillis(5)).apply(disk);
        disk = Filters.fault(Fault.of(Errno.EIO).on(Operation.WRITE).randomly(0.01, 42)).apply(disk);
        disk = Filters.trace(System.out::println).apply(disk);
        // @end
        return disk;
    }
}
