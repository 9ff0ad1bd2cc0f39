package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import io.reactorublk.uring.Errno;
import io.reactorublk.uring.EventLoop;
import io.reactorublk.uring.Kernel;
import io.reactorublk.uring.KernelException;
import java.time.Duration;
import java.util.BitSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import reactor.core.Disposable;
import reactor.core.Disposables;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;

/** A device that starts is there; one that does not leaves nothing. */
abstract class StartContract extends DeviceContract {

    private final RecordingTarget target = new RecordingTarget(DEVICE_BYTES);

    private UblkServer small() {
        return server(target).queueDepth(4).maxIoBytes(BLOCK);
    }

    @Test
    void aDeviceIsWhatWasAskedFor() {
        UblkDevice device = start(small().queues(2));
        assertThat(device.path()).hasToString("/dev/ublkb" + device.id());
        assertThat(device).hasToString("/dev/ublkb" + device.id());
        assertThat(device.queues()).isEqualTo(2);
        assertThat(device.queueDepth()).isEqualTo(4);
        assertThat(device.isDisposed()).isFalse();
    }

    @Test
    void itsNumberCanBeChosen() {
        UblkDevice device = start(small().id(17));
        assertThat(device.id()).isEqualTo(17);
        assertThat(read(disk(device), QUIET, BLOCK)).hasSize(BLOCK);
    }

    @Test
    void aNumberInUseIsRefused() {
        UblkDevice device = start(small());
        assertThatThrownBy(() -> start(small().id(device.id())))
                .isInstanceOfSatisfying(KernelException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EEXIST))
                .hasMessageContaining("Device number " + device.id() + " is in use; choose another");
        assertThat(read(disk(device), QUIET, BLOCK)).as("read of the first").hasSize(BLOCK);
    }

    @Test
    void moreQueuesThanCpusAreRefused() {
        assertThatThrownBy(() -> start(small().queues(4096)))
                .hasMessageMatching("4096 queues: this machine grants \\d+, one for each CPU; ask for no more");
        assertNothingIsLeft();
    }

    @Test
    void eachStartMakesADevice() {
        UblkServer server = small();
        UblkDevice first = start(server);
        UblkDevice second = start(server);
        assertThat(first.id()).isNotEqualTo(second.id());
    }

    @Test
    void twoDevicesKeepTheirBytesApart() {
        Disk first = disk(target);
        Disk second = disk(new RecordingTarget(DEVICE_BYTES));
        write(first, QUIET, filled(BLOCK, 1));
        write(second, QUIET, filled(BLOCK, 2));
        assertThat(read(first, QUIET, BLOCK)).isEqualTo(filled(BLOCK, 1));
        assertThat(read(second, QUIET, BLOCK)).isEqualTo(filled(BLOCK, 2));
    }

    @Test
    void aTargetMaySubscribeAWhileAfterItWasAsked() {
        Disk disk = disk(queue -> queue.answer(request -> Mono.just(target.apply(request)))
                .delaySubscription(Duration.ofMillis(300), queue.loop()));
        assertThat(read(disk, QUIET, BLOCK)).hasSize(BLOCK);
    }

    /** The partition scan then waits in the kernel. */
    @Test
    void aTargetMaySubscribeWhenTheDeviceIsThereAlready() {
        CompletableFuture<Boolean> there = new CompletableFuture<>();
        Disk disk = disk(queue -> queue.answer(request -> Mono.just(target.apply(request)))
                .delaySubscription(Mono.fromFuture(there)));
        CompletableFuture<byte[]> read = disk.read(QUIET, BLOCK);
        fixture.settle();
        assertThat(read).isNotDone();
        there.complete(true);
        assertThat(fixture.get(read)).hasSize(BLOCK);
        assertThat(log.warnings()).singleElement().asString().contains("has not subscribed");
    }

    // ------------------------------------------------------------------------------------------- loops

    /** Which queue is asked is up to the kernel, so it is asked until both were. */
    @Test
    void queuesThatShareALoopAreAllServed() {
        Set<Integer> asked = ConcurrentHashMap.newKeySet();
        Set<EventLoop> loops = ConcurrentHashMap.newKeySet();
        UblkDevice device = start(server(queue -> {
            loops.add(queue.loop());
            return queue.answer(request -> {
                asked.add(queue.id());
                return Mono.just(target.apply(request));
            });
        }).queues(2).loops(1).queueDepth(8));
        assertThat(loops).singleElement().extracting(EventLoop::name).isEqualTo("ublk-" + device.id() + "-l0");
        Disk disk = disk(device);
        List<CompletableFuture<byte[]>> reads = startReads(disk, 32);
        assertAllRead(reads);
        if (!fixture.hasThreads()) return;                             // in order, one CPU does everything
        fixture.await(() -> {
            assertAllRead(startReads(disk, 8));
            return asked.size() == 2;
        });
    }

    @Test
    void thereAreNoMoreLoopsThanQueues() {
        List<String> loops = new CopyOnWriteArrayList<>();
        UblkDevice device = start(server(queue -> {
            loops.add(queue.loop().name());
            return queue.answer(request -> Mono.just(request.complete()));
        }).queues(2).loops(7));
        assertThat(loops).containsExactly("ublk-" + device.id() + "-q0", "ublk-" + device.id() + "-q1");
    }

    @Test
    void aLoopThatSharesItsQueuesRunsOnTheCpusOfAllOfThem() {
        UblkDevice device = start(small().queues(2).loops(1));
        try (UblkControl control = UblkControl.create(fixture.kernel(), Duration.ofSeconds(30))) {
            BitSet elsewhere = fixture.affinity("ublk-" + device.id() + "-l0");
            assertThat(elsewhere.cardinality()).isPositive();
            for (int queue = 0; queue < 2; queue++) elsewhere.andNot(fixture.get(control.affinity(device.id(), queue)));
            assertThat(elsewhere).isEqualTo(new BitSet());
        }
    }

    @Test
    void aRefusalLeavesNothingOfQueuesThatShareALoop() {
        boolean refused = true;
        for (int call = 20; refused; call++) {
            FaultyKernel faulty = new FaultyKernel(fixture.kernel(), call);
            try {
                fixture.get(start(small().queues(2).loops(1).queueDepth(2).kernel(faulty.kernel())).disposeLater());
            } catch (KernelException expected) {
                assertThat(faulty.hasRefused()).isTrue();
            }
            refused = faulty.hasRefused();
            assertNothingIsLeft();
            assertThat(faulty.memoryStillThere()).as("pieces of memory left after the refusal of call " + call).isZero();
        }
    }

    // ------------------------------------------------------------------------------------------- CPUs

    private BitSet cpusOfLoop(UblkDevice device, int queue) {
        return fixture.affinity("ublk-" + device.id() + "-q" + queue);
    }

    @Test
    void eachQueueIsServedOnTheCpusItsRequestsComeFrom() {
        UblkDevice device = start(small().queues(2));
        try (UblkControl control = UblkControl.create(fixture.kernel(), Duration.ofSeconds(30))) {
            for (int queue = 0; queue < 2; queue++) {
                BitSet elsewhere = cpusOfLoop(device, queue);
                assertThat(elsewhere.cardinality()).isPositive();
                elsewhere.andNot(fixture.get(control.affinity(device.id(), queue)));
                assertThat(elsewhere).as("CPUs of other queues").isEqualTo(new BitSet());
            }
        }
    }

    @Test
    void withoutAffinityALoopRunsOnAnyCpu() {
        UblkDevice device = start(small().queues(2).withoutAffinity());
        assertThat(cpusOfLoop(device, 0)).isEqualTo(fixture.affinity("ublk-control")).isEqualTo(cpusOfLoop(device, 1));
    }

    /** As in a container that has other CPUs. */
    @Test
    void aQueueWhoseCpusAreNotOursIsServedAllTheSame() {
        Kernel elsewhere = FaultyKernel.refusing(fixture.kernel(), "schedSetaffinity", Errno.EINVAL);
        UblkDevice device = start(small().queues(2).kernel(elsewhere));
        assertThat(read(disk(device), QUIET, BLOCK)).hasSize(BLOCK);
        assertThat(log.warnings()).singleElement().asString()
                .isEqualTo("WARN the queues of " + device + " run on any CPU: schedSetaffinity, for a test: EINVAL (Invalid argument)");
    }

    // ------------------------------------------------------------------------------------------- what fails

    @Test
    void theRefusalOfAnyCallLeavesNothing() {
        boolean refused = true;
        int call = 0;
        while (refused) {
            FaultyKernel faulty = new FaultyKernel(fixture.kernel(), ++call);
            Throwable refusal =
                    catchThrowable(() -> fixture.get(start(small().queueDepth(2).kernel(faulty.kernel())).disposeLater()));
            refused = faulty.hasRefused();
            if (refused) assertThat(refusal).as("refusal of call " + call).isInstanceOf(KernelException.class);
            assertNothingIsLeft();
            assertThat(faulty.memoryStillThere()).as("pieces of memory left after the refusal of call " + call).isZero();
        }
        assertThat(call).as("calls").isGreaterThan(10);
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 5, 20, 50, 100, 200, 400})
    void aStartThatIsCancelledLeavesNothing(int millis) {
        Disposable start = small().start().subscribe(UblkDevice::dispose);
        fixture.elapse(Duration.ofMillis(millis));
        start.dispose();
        assertNothingIsLeft();
    }

    @Test
    void aStartThatIsCancelledWhileItsTargetIsAskedLeavesNothing() {
        Disposable.Swap start = Disposables.swap();
        AtomicInteger emitted = new AtomicInteger();
        CompletableFuture<Boolean> asked = new CompletableFuture<>();
        start.update(server(queue -> {
            start.dispose();
            asked.complete(true);
            return queue.answer(request -> Mono.just(request.complete()));
        }).start().subscribeOn(Schedulers.parallel()).subscribe(device -> emitted.incrementAndGet()));
        fixture.get(asked);
        assertNothingIsLeft();
        assertThat(emitted).hasValue(0);
    }
}
