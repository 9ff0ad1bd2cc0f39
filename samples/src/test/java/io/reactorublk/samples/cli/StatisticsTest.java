package io.reactorublk.samples.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.UblkDevice;
import io.reactorublk.UblkServer;
import io.reactorublk.memory.MemoryDisk;
import io.reactorublk.memory.MemoryUblk;
import io.reactorublk.target.Fault;
import io.reactorublk.target.Filters;
import io.reactorublk.target.RamTarget;
import io.reactorublk.uring.Errno;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** What is counted, and what who looks is told of it. */
class StatisticsTest {

    private static final int KIB = 1024;
    private static final long SIZE = 1 << 20;
    private static final Duration DELAY = Duration.ofMillis(5);

    @TempDir
    Path folder;

    private final MemoryUblk ublk = MemoryUblk.create().withoutPartitionScan().cpus(2);
    private final RamTarget ram = new RamTarget(SIZE);
    private final Statistics statistics = new Statistics();
    private final UblkServer server = UblkServer.create().kernel(ublk.kernel()).size(SIZE).queueDepth(8).maxIoBytes(64 * KIB)
            .listener(statistics);

    @AfterEach
    void close() {
        ublk.close();
        ram.close();
    }

    private UblkDevice start(UblkServer started) {
        return Objects.requireNonNull(ublk.get(started.start()));
    }

    @Test
    void eachKindOfRequestIsCounted() {
        MemoryDisk disk = ublk.disk(start(server.serve(Filters.fault(Fault.of(Errno.EIO).within(0, 512)).apply(ram))));
        Statistics.Look look = statistics.look();
        ublk.get(disk.read(64 * KIB, 4 * KIB));
        ublk.get(disk.write(64 * KIB, new byte[8 * KIB]));
        ublk.get(disk.writeZeroes(64 * KIB, 16 * KIB));
        ublk.get(disk.discard(64 * KIB, 4 * KIB));
        ublk.get(disk.flush());
        assertThat(ublk.get(disk.read(0, 512).map(bytes -> "read").onErrorReturn("failed"))).isEqualTo("failed");

        Activity all = look.next().getFirst();
        assertThat(all.queue()).isEqualTo(Activity.ALL);
        assertThat(all).extracting(Activity::reads, Activity::readBytes, Activity::writes, Activity::writeBytes, Activity::discards,
                Activity::flushes, Activity::failed).containsExactly(2L, 4L * KIB, 2L, 24L * KIB, 1L, 1L, 1L);
        assertThat(all.fetchedTags()).isEqualTo(6).isEqualTo(all.committedTags());
        assertThat(look.next().getFirst()).extracting(Activity::reads, Activity::writes, Activity::fetches, Activity::p50Nanos)
                .containsExactly(0L, 0L, 0L, 0L);
    }

    @Test
    void aDelayIsSeenInTheTimes() {
        MemoryDisk disk = ublk.disk(start(server.serve(Filters.delay(DELAY).apply(ram))));
        Statistics.Look look = statistics.look();
        ublk.get(disk.read(0, 512));
        Activity all = look.next().getFirst();
        assertThat(all.p50Nanos()).isEqualTo(all.maxNanos()).isBetween(DELAY.toNanos(), DELAY.toNanos() * 102 / 100);
    }

    @Test
    void whatIsInHandIsSeen() {
        MemoryDisk disk = ublk.disk(start(server.serve(queue -> queue.answer(request -> Mono.never()))));
        Statistics.Look look = statistics.look();
        Flux.range(0, 3).flatMap(i -> disk.read(i * 512L, 512)).subscribe();
        ublk.settle();
        assertThat(look.next().getFirst().tags()).isEqualTo(3);
    }

    @Test
    void aTargetThatIsTheLimitIsSeen() {
        MemoryDisk disk = ublk.disk(start(server.serve(queue -> queue.answer(1, request -> Mono.delay(DELAY, queue.loop())
                .map(late -> request.complete())))));
        Statistics.Look look = statistics.look();
        ublk.get(Flux.range(0, 4).flatMap(i -> disk.read(i * 512L, 512)).then());
        assertThat(look.next().getFirst().starved()).isPositive();
    }

    @Test
    void queuesAreToldApartAndSummedUp() {
        UblkDevice device = start(server.queues(2).serve(ram));
        Statistics.Look look = statistics.look();
        ublk.get(Flux.range(0, 16).flatMap(i -> ublk.disk(device).read(i * 512L, 512)).then());
        List<Activity> activities = look.next();
        assertThat(activities).extracting(Activity::queue).containsExactly(Activity.ALL, 0, 1);
        assertThat(activities.getFirst().reads()).isEqualTo(16)
                .isEqualTo(activities.get(1).reads() + activities.get(2).reads());
    }

    @Test
    void aQueueThatEndedIsForgotten() {
        UblkDevice device = start(server.serve(ram));
        Statistics.Look look = statistics.look();
        ublk.get(device.disposeLater());
        assertThat(look.next()).extracting(Activity::queue).containsExactly(Activity.ALL);
    }

    @Test
    void severalLookByTheDoor() throws IOException {
        MemoryDisk disk = ublk.disk(start(server.serve(ram)));
        Path path = folder.resolve("ublkb0.sock");
        try (Door door = Door.open(path, statistics, false, bytes -> {});
                Watch one = Lines.to(path).map(Watch::new).orElseThrow(); Watch other = Lines.to(path).map(Watch::new).orElseThrow()) {
            one.look();
            other.look();
            ublk.get(disk.read(0, 512));
            assertThat(one.look()).extracting(Activity::reads).containsExactly(1L, 1L);
            assertThat(other.look()).extracting(Activity::reads).containsExactly(1L, 1L);
            assertThat(one.look()).extracting(Activity::reads).containsExactly(0L, 0L);
            assertThat(one.look().getFirst().nanos()).isPositive().isLessThan(TimeUnit.MINUTES.toNanos(1));
        }
    }

    @Test
    void whoHasEndedTellsNothing() throws IOException {
        Path path = folder.resolve("ublkb0.sock");
        assertThat(Lines.to(path).map(Watch::new)).isEmpty();
        Door.open(path, statistics, false, bytes -> {}).close();
        assertThat(Lines.to(path).map(Watch::new)).isEmpty();
    }
}
