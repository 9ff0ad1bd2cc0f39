package io.reactorublk;

import io.reactorublk.uring.Errno;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;
import org.reactivestreams.Publisher;
import org.reactivestreams.Subscriber;
import org.reactivestreams.tck.PublisherVerification;
import org.reactivestreams.tck.TestEnvironment;
import org.testng.annotations.AfterMethod;
import reactor.core.publisher.Flux;
import reactor.core.publisher.FluxSink;
import reactor.core.publisher.Sinks;

/**
 * The queue of a device is a publisher by the rules of Reactive Streams. Applications that read feed it, stopping the device
 * ends it; what the kernel reads to find partitions is filtered out.
 */
public class BlockQueueTckVmIT extends PublisherVerification<BlockRequest> {

    private static final long LONG_ENOUGH_MILLIS = 30_000;
    private static final long NOTHING_COMES_MILLIS = 100;
    private static final long DEVICE_BYTES = 16 << 20;
    private static final int BLOCK = 4096;
    private static final int PLACES = 500;
    /** More than any rule looks at: these are read as long as somebody wants them. */
    private static final long MANY = PLACES;

    private final LinuxDevices linux = new LinuxDevices();
    private final List<UblkDevice> devices = new ArrayList<>();
    private final List<Disk> disks = new ArrayList<>();
    /** Some of them fail when a device ends, which is as it should be. */
    private final Queue<CompletableFuture<?>> reads = new ConcurrentLinkedQueue<>();

    public BlockQueueTckVmIT() {
        super(new TestEnvironment(LONG_ENOUGH_MILLIS, NOTHING_COMES_MILLIS, NOTHING_COMES_MILLIS));
    }

    /** Its first subscriber starts the device, or the device would wait for one. */
    @Override
    public Publisher<BlockRequest> createPublisher(long elements) {
        AtomicReference<BlockQueue> served = new AtomicReference<>();
        return subscriber -> {
            Objects.requireNonNull(subscriber);
            if (served.get() == null) {
                startFor(subscriber, elements, served);
            } else {
                served.get().subscribe(subscriber);
            }
        };
    }

    private void startFor(Subscriber<? super BlockRequest> subscriber, long elements, AtomicReference<BlockQueue> served) {
        Sinks.One<UblkDevice> device = Sinks.one();
        AtomicReference<Subscriber<? super BlockRequest>> waiting = new AtomicReference<>(subscriber);  // not to be kept
        UblkDevice started = start(queue -> Flux.create(answers -> {
            served.set(queue);
            AtomicLong arrived = new AtomicLong();
            queue.filter(request -> isRead(request) || answer(answers, request))
                    .doOnNext(request -> {
                        answers.next(request.complete());
                        if (arrived.incrementAndGet() == elements) device.asMono().subscribe(UblkDevice::dispose);
                    })
                    .doOnTerminate(answers::complete)
                    .doOnCancel(answers::complete)
                    .subscribe(waiting.getAndSet(null));
        }));
        device.tryEmitValue(started);
        if (elements == 0) started.dispose();
        Disk disk = linux.open(started);
        disks.add(disk);
        if (elements >= MANY) {
            readOnAndOn(disk, 0);
        } else {
            reads.addAll(Stream.iterate(0, i -> i + 1).limit(elements).map(i -> disk.read(place(i), BLOCK)).toList());
        }
    }

    private static boolean isRead(BlockRequest request) {
        return request.offset() >= place(0) && request.offset() < place(PLACES);
    }

    /** The TCK's subscriber knows nothing of our context, in which dropped requests would be told. */
    private static boolean answer(FluxSink<Completion> answers, BlockRequest scan) {
        answers.next(scan.fail(Errno.EIO));
        return false;
    }

    /** A queue that has its one subscriber already. */
    @Override
    public Publisher<BlockRequest> createFailedPublisher() {
        AtomicReference<BlockQueue> served = new AtomicReference<>();
        start(queue -> {
            served.set(queue);
            return queue.map(BlockRequest::complete);
        });
        return served.get();
    }

    private UblkDevice start(BlockTarget target) {
        UblkDevice device =
                linux.get(UblkServer.create().size(DEVICE_BYTES).queueDepth(32).maxIoBytes(BLOCK).serve(target).start());
        devices.add(device);
        return device;
    }

    /** Apart from one another, or two of them might become one request. */
    private static long place(int i) {
        return (9 << 20) + i * 2L * BLOCK;
    }

    private void readOnAndOn(Disk disk, int i) {
        reads.add(disk.read(place(i), BLOCK).thenAccept(bytes -> readOnAndOn(disk, (i + 1) % PLACES)));
    }

    @AfterMethod
    public void removeDevices() {
        for (UblkDevice device : devices) device.dispose();
        for (Disk disk : disks) disk.close();
        for (UblkDevice device : devices) linux.get(device.disposeLater());
        devices.clear();
        disks.clear();
        reads.clear();
    }
}
