package io.reactorublk.micrometer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.within;

import io.micrometer.core.instrument.DistributionSummary;
import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tag;
import io.micrometer.core.instrument.Timer;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.reactorublk.BlockQueue;
import io.reactorublk.BlockTarget;
import io.reactorublk.Operation;
import io.reactorublk.QueueListener;
import io.reactorublk.UblkControl;
import io.reactorublk.UblkDevice;
import io.reactorublk.UblkServer;
import io.reactorublk.memory.MemoryDisk;
import io.reactorublk.memory.MemoryQueue;
import io.reactorublk.memory.MemoryUblk;
import io.reactorublk.target.Fault;
import io.reactorublk.target.Filters;
import io.reactorublk.target.RamTarget;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.EventLoop;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.test.StepVerifier;

/** What a registry shows of devices in memory. */
class UblkMetricsTest {

    private static final int SIZE = 1 << 20;

    private final MemoryUblk ublk = MemoryUblk.create().withoutPartitionScan();
    private final MeterRegistry registry = new SimpleMeterRegistry();
    private final UblkServer server = UblkServer.create().size(SIZE).queueDepth(8).kernel(ublk.kernel())
            .listener(UblkMetrics.of(registry));

    @AfterEach
    void nobodyBrokeARule() {
        assertThat(ublk.breaches()).isEmpty();
        ublk.close();
    }

    private UblkDevice start(UblkServer what, BlockTarget target) {
        return ublk.get(what.serve(target).start());
    }

    private MemoryDisk disk(BlockTarget target) {
        return ublk.disk(start(server, target));
    }

    private Timer time(Operation operation, String outcome) {
        return registry.get("ublk.request").tags("operation", operation.name().toLowerCase(Locale.ROOT), "outcome", outcome).timer();
    }

    private double bytes(Operation operation) {
        return registry.get("ublk.request.bytes").tags("operation", operation.name().toLowerCase(Locale.ROOT)).functionCounter().count();
    }

    private double inFlight(String device) {
        return registry.get("ublk.tags.inflight").tag("device", device).gauges().stream().mapToDouble(g -> g.value()).sum();
    }

    @Test
    void whatSucceedsIsCountedWithItsBytesByOperation() {
        MemoryDisk disk = disk(new RamTarget(SIZE));
        ublk.get(disk.write(0, new byte[8192]).then(disk.read(0, 4096)).then(disk.read(4096, 512)).then(disk.flush())
                .then(disk.discard(0, 65536)).then(disk.writeZeroes(65536, 4096)));

        assertThat(Arrays.stream(Operation.values()).map(operation -> time(operation, "ok").count()))
                .containsExactly(2L, 1L, 1L, 1L, 1L);
        assertThat(bytes(Operation.READ)).isEqualTo(4096 + 512);
        assertThat(bytes(Operation.WRITE)).isEqualTo(8192);
        assertThat(bytes(Operation.DISCARD)).isEqualTo(65536);
        assertThat(bytes(Operation.WRITE_ZEROES)).isEqualTo(4096);
        assertThat(registry.find("ublk.request.bytes").tag("operation", "flush").meter()).isNull();
    }

    @Test
    void theTimeOfARequestIsFromItsArrivalToTheCommitOfItsAnswer() {
        MemoryDisk disk = disk(Filters.delay(Duration.ofMillis(30)).apply(new RamTarget(SIZE)));
        ublk.get(disk.read(0, 512));
        assertThat(time(Operation.READ, "ok").totalTime(TimeUnit.MILLISECONDS)).isCloseTo(30, within(1.0));
    }

    @Test
    void whatFailsIsCountedUnderItsErrnoAndHasNoBytes() {
        MemoryDisk disk = disk(Filters.fault(Fault.of(Errno.ENOSPC).on(Operation.WRITE))
                .compose(Filters.fault(Fault.of(Errno.EILSEQ).on(Operation.READ))).apply(new RamTarget(SIZE)));
        for (int i = 0; i < 3; i++) ublk.get(disk.write(0, new byte[512]).onErrorComplete());
        ublk.get(disk.read(0, 512).onErrorComplete());

        assertThat(time(Operation.WRITE, "ENOSPC").count()).isEqualTo(3);
        assertThat(time(Operation.READ, "EILSEQ").count()).isEqualTo(1);
        assertThat(time(Operation.WRITE, "ok").count() + time(Operation.READ, "ok").count()).isZero();
        assertThat(bytes(Operation.WRITE) + bytes(Operation.READ)).isZero();
    }

    @Test
    void whatNobodyHasAnsweredIsInFlight() {
        MemoryQueue alone = ublk.queue(server.size(SIZE));
        List<?> reads = List.of(1, 2, 3);
        StepVerifier.create(alone.queue(), Long.MAX_VALUE)
                .then(() -> alone.disk().readBlocks(reads.size())).then(ublk::settle).expectNextCount(reads.size())
                .then(() -> assertThat(inFlight("ublkb0")).isEqualTo(reads.size()))
                .thenCancel().verify();
        ublk.settle();
        assertThat(inFlight("ublkb0")).as("a lost target has nothing").isZero();
        assertThat(time(Operation.READ, "EIO").count()).as("answered in its place").isEqualTo(reads.size());
    }

    @Test
    void whatComesAfterTheTargetIsLostIsCountedToo() {
        MemoryDisk disk = disk(queue -> queue.concatMap(request -> Mono.error(new IllegalStateException("lost"))));
        for (int i = 0; i < 5; i++) ublk.get(disk.read(0, 512).onErrorComplete());
        assertThat(time(Operation.READ, "EIO").count()).isEqualTo(5);
        assertThat(inFlight("ublkb0")).isZero();
    }

    @Test
    void nothingIsInFlightWhenAllIsAnswered() {
        MemoryDisk disk = disk(new RamTarget(SIZE));
        ublk.get(Flux.range(0, 100).flatMap(i -> disk.read(i * 512, 512)).then());
        assertThat(inFlight("ublkb0")).isZero();
        assertThat(time(Operation.READ, "ok").count()).isBetween(1L, 100L);
    }

    @Test
    void batchesAreMeasuredOnBothWays() {
        MemoryDisk disk = disk(new RamTarget(SIZE));
        Flux.range(0, 8).flatMap(i -> disk.read(i * 8192L, 512)).subscribe();
        ublk.settle();
        DistributionSummary fetched = registry.get("ublk.fetch.tags").summary();
        DistributionSummary committed = registry.get("ublk.commit.tags").summary();
        assertThat(fetched.totalAmount()).isEqualTo(8);
        assertThat(committed.totalAmount()).isEqualTo(8);
        assertThat(fetched.max()).isGreaterThan(1);
        assertThat(committed.max()).isGreaterThan(1);
    }

    @Test
    void starvationIsCounted() {
        MemoryQueue alone = ublk.queue(server.size(SIZE));
        StepVerifier.create(alone.queue(), 2)
                .then(() -> alone.disk().readBlocks(5)).then(ublk::settle).expectNextCount(2)
                .then(() -> assertThat(registry.get("ublk.fetch.starved").counter().count()).isEqualTo(1))
                .thenCancel().verify();
    }

    @Test
    void turnsOfTheLoopAreTimed() {
        MemoryDisk disk = disk(new RamTarget(SIZE));
        for (int i = 0; i < 2 * EventLoop.TURNS_A_SAMPLE; i++) ublk.get(disk.read(0, 512));
        assertThat(registry.get("ublk.loop.turn").tag("device", "ublkb0").timer().count()).isPositive();
        assertThat(UblkMeter.LOOP_TURN.description()).endsWith("every " + EventLoop.TURNS_A_SAMPLE + "th turn.");
    }

    @Test
    void commandsAreTimedByNameAndOutcomeAndStayWhenTheDeviceIsGone() {
        UblkMetrics metrics = UblkMetrics.of(registry);
        UblkDevice device = start(server.controlListener(metrics), new RamTarget(SIZE));
        try (UblkControl control = UblkControl.create(ublk.kernel(), Duration.ofSeconds(1), metrics)) {
            assertThatCode(() -> ublk.get(control.inspect(5))).hasMessageContaining("ENODEV");
        }
        ublk.get(device.disposeLater());
        assertThat(registry.get("ublk.control").tags("command", "START_DEV", "outcome", "ok").timer().count()).isEqualTo(1);
        assertThat(registry.get("ublk.control").tags("command", "GET_DEV_INFO", "outcome", "ENODEV").timer().count()).isEqualTo(1);
        assertThat(registry.getMeters()).extracting(meter -> meter.getId().getName()).containsOnly("ublk.control");
    }

    @Test
    void eachQueueOfEachDeviceHasItsOwn() {
        UblkDevice first = start(server.queues(2), new RamTarget(SIZE));
        MemoryDisk second = ublk.disk(start(server, new RamTarget(SIZE)));
        ublk.get(second.read(0, 512));

        assertThat(registry.get("ublk.tags.inflight").gauges()).extracting(g -> tags(g.getId()))
                .containsExactlyInAnyOrder("ublkb0/0", "ublkb0/1", "ublkb1/0");
        assertThat(registry.get("ublk.request").tag("device", "ublkb0").timers()).allMatch(time -> time.count() == 0);
        assertThat(registry.get("ublk.request").tags("device", "ublkb1", "operation", "read").timer().count()).isEqualTo(1);

        ublk.get(first.disposeLater());
        assertThat(registry.getMeters()).as("those of the other device are still there").isNotEmpty()
                .allMatch(meter -> "ublkb1".equals(meter.getId().getTag("device")));
    }

    private static String tags(Meter.Id id) {
        return id.getTag("device") + "/" + id.getTag("queue");
    }

    @Test
    void nothingIsLeftOfADeviceThatIsGone() {
        UblkDevice device = start(server, Filters.fault(Fault.of(Errno.EIO)).apply(new RamTarget(SIZE)));
        ublk.get(ublk.disk(device).read(0, 512).onErrorComplete());
        assertThat(registry.getMeters()).isNotEmpty();
        ublk.get(device.disposeLater());
        assertThat(registry.getMeters()).isEmpty();
    }

    @Test
    void nothingIsLeftOfADeviceThatDidNotStart() {
        BlockTarget none = queue -> Flux.error(new IllegalStateException("no disk"));
        assertThatCode(() -> start(server, none)).hasMessage("no disk");
        assertThat(registry.getMeters()).isEmpty();
    }

    @Test
    void aNumberThatIsUsedAgainStartsAtZero() {
        for (int i = 0; i < 2; i++) {
            UblkDevice device = start(server, new RamTarget(SIZE));
            ublk.get(ublk.disk(device).read(0, 512));
            assertThat(time(Operation.READ, "ok").count()).isEqualTo(1);
            ublk.get(device.disposeLater());
        }
    }

    @Test
    void aRegistryThatRefusesCostsTheMetersAndNotTheDevice() {
        registry.gauge("ublk.request", List.of(Tag.of("device", "ublkb0"), Tag.of("queue", "0"), Tag.of("operation", "read"),
                Tag.of("outcome", "ok")), 1);
        MemoryDisk disk = disk(new RamTarget(SIZE));
        assertThat(ublk.get(disk.read(0, 512))).hasSize(512);
    }

    @Test
    void anotherListenerHearsAsWell() {
        AtomicInteger heard = new AtomicInteger();
        QueueListener other = new QueueListener() {
            @Override
            public void onFetched(BlockQueue queue, int tags) {
                heard.addAndGet(tags);
            }

            @Override
            public void onClosed(BlockQueue queue) {
                heard.addAndGet(1000);
            }
        };
        UblkDevice device = start(server.listener(UblkMetrics.of(registry).and(other)), new RamTarget(SIZE));
        ublk.get(ublk.disk(device).read(0, 512));
        assertThat(heard).hasValue(1);
        assertThat(time(Operation.READ, "ok").count()).isEqualTo(1);
        ublk.get(device.disposeLater());
        assertThat(heard).hasValue(1001);
        assertThat(registry.getMeters()).isEmpty();
    }

    @Test
    void whatIsRegisteredIsWhatTheTableSays() {
        start(server.controlListener(UblkMetrics.of(registry)), new RamTarget(SIZE));
        for (UblkMeter meter : UblkMeter.values()) {
            assertThat(registry.get(meter.meterName()).meters()).isNotEmpty().allSatisfy(registered -> {
                Meter.Id id = registered.getId();
                assertThat(id.getTags()).extracting(Tag::getKey).containsExactlyInAnyOrderElementsOf(meter.tags());
                assertThat(id.getType().name()).isEqualTo(meter.type().name());
                assertThat(id.getDescription()).isEqualTo(meter.description());
                assertThat(Objects.requireNonNullElse(id.getBaseUnit(), "")).isEqualTo(meter.unit());
            });
        }
        assertThat(registry.getMeters()).extracting(meter -> meter.getId().getName()).allSatisfy(name ->
                assertThat(UblkMeter.values()).extracting(UblkMeter::meterName).contains(name));
    }
}
