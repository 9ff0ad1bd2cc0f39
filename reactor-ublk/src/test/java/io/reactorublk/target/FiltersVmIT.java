package io.reactorublk.target;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.reactorublk.BlockRequest;
import io.reactorublk.BlockTarget;
import io.reactorublk.Completion;
import io.reactorublk.Operation;
import io.reactorublk.UblkServer;
import io.reactorublk.uring.Errno;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Predicate;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Schedulers;

/** What filters make of a target, as an application sees it. */
class FiltersVmIT {

    private static final int SIZE = 1 << 20;
    private static final BlockTarget NULL = new NullTarget();

    @Test
    void delayedRequestsStayInFlightTogether() throws IOException {
        try (Served disk = Served.start(server(Filters.delay(Duration.ofSeconds(2)).apply(NULL)))) {
            long start = System.nanoTime();
            List<CompletableFuture<byte[]>> reads = IntStream.range(0, 4).mapToObj(i -> disk.reading(i * 4096L, 4096)).toList();
            reads.forEach(CompletableFuture::join);

            assertThat(Duration.ofNanos(System.nanoTime() - start)).isBetween(Duration.ofSeconds(2), Duration.ofSeconds(7));
        }
    }

    @Test
    void othersOvertakeTheOperationThatIsDelayed() throws IOException {
        BlockTarget target = Filters.delay(Operation.READ, Duration.ofSeconds(3)).apply(NULL);
        try (Served disk = Served.start(server(target))) {
            CompletableFuture<byte[]> read = disk.reading(0, 4096);
            disk.write(4096, new byte[4096]);

            assertThat(read).isNotDone();
            assertThat(read.join()).hasSize(4096);
        }
    }

    @Test
    void faultyRequestsDoNotReachTheTarget() throws IOException {
        List<String> reached = new CopyOnWriteArrayList<>();
        Fault fault = Fault.of(Errno.ENOSPC).on(Operation.WRITE).within(65536, 8192);
        BlockTarget target = Filters.fault(fault).apply(Filters.trace(reached::add).apply(NULL));
        try (Served disk = Served.start(server(target))) {
            assertThatThrownBy(() -> disk.write(65536, new byte[4096])).hasMessage("No space left on device");
            assertThatThrownBy(() -> disk.write(65536 + 4096, new byte[8192])).hasMessage("No space left on device");
            disk.read(65536, 4096);
            disk.write(65536 - 4096, new byte[4096]);
            disk.write(65536 + 8192, new byte[4096]);

            assertThat(reached).noneMatch(line -> line.startsWith("WRITE of 4096 bytes at 65536 "))
                    .anyMatch(line -> line.startsWith("READ of 4096 bytes at 65536 "))
                    .anyMatch(line -> line.startsWith("WRITE of 4096 bytes at 61440 "))
                    .anyMatch(line -> line.startsWith("WRITE of 4096 bytes at 73728 "));
        }
    }

    @Test
    void aRunOfRandomFaultsRepeats() {
        List<Integer> failed = failingWrites(Fault.of(Errno.EIO).on(Operation.WRITE).randomly(0.3, 7));

        assertThat(failed).hasSizeBetween(1, 39);
        assertThat(failingWrites(Fault.of(Errno.EIO).on(Operation.WRITE).randomly(0.3, 7))).isEqualTo(failed);
        assertThat(failingWrites(Fault.of(Errno.EIO).on(Operation.WRITE).first(3))).containsExactly(0, 1, 2);
    }

    /** One after another, so that their order is known. */
    private static List<Integer> failingWrites(Fault fault) {
        List<Integer> failed = new ArrayList<>();
        try (Served disk = Served.start(server(Filters.fault(fault).apply(NULL)))) {
            for (int i = 0; i < 40; i++) {
                try {
                    disk.write(i * 4096L, new byte[4096]);
                } catch (IOException e) {
                    failed.add(i);
                }
            }
        }
        return failed;
    }

    @Test
    void aReadOnlyTargetIsReadAndFlushedOnly() throws IOException {
        List<String> reached = new CopyOnWriteArrayList<>();
        BlockTarget target = Filters.readOnly().apply(Filters.trace(reached::add).apply(NULL));
        try (Served disk = Served.start(server(target))) {
            assertThatThrownBy(() -> disk.write(0, new byte[4096])).hasMessage("Remote I/O error");
            assertThatThrownBy(() -> disk.discard(0, 4096)).hasMessageContaining("Remote I/O error");
            assertThatThrownBy(() -> disk.zero(0, 4096)).hasMessageContaining("Remote I/O error");
            disk.read(0, 4096);
            disk.sync();

            assertThat(reached).allMatch(line -> line.startsWith("READ") || line.startsWith("FLUSH"))
                    .anyMatch(line -> line.startsWith("READ")).anyMatch(line -> line.startsWith("FLUSH"));
        }
    }

    @Test
    void aTraceHasALineForEachRequestAndEachAnswer() throws IOException {
        List<String> lines = new CopyOnWriteArrayList<>();
        BlockTarget target = Filters.trace(lines::add).apply(Filters.fault(Fault.of(Errno.ENOSPC).within(8192, 512)).apply(NULL));
        try (Served disk = Served.start(server(target))) {
            lines.clear();
            disk.write(4096, new byte[4096]);
            assertThatThrownBy(() -> disk.write(8192, new byte[4096])).isInstanceOf(IOException.class);
            disk.sync();
            await().atMost(Served.LIMIT).until(() -> lines.stream().filter(about("FLUSH")).count() == 2);

            assertThat(lines).filteredOn(about("WRITE of 4096 bytes at 4096")).satisfiesExactly(
                    begins -> assertThat(begins)
                            .matches("WRITE of 4096 bytes at 4096 \\(tag \\d+ of queue 0 of /dev/ublkb\\d+\\) arrives"),
                    ends -> assertThat(ends).matches(".* is done, 4096 bytes, after \\d+ us"));
            assertThat(lines).filteredOn(about("WRITE of 4096 bytes at 8192")).last().asString()
                    .matches(".* fails with ENOSPC, after \\d+ us");
            assertThat(lines).filteredOn(about("FLUSH")).last().asString().matches(".*\\) is done, after \\d+ us");
        }
    }

    private static Predicate<String> about(String request) {
        return line -> line.startsWith(request + " ");
    }

    @Test
    void aTargetGetsExactlyWhatItAsksFor() {
        Held held = new Held();
        List<String> left = new CopyOnWriteArrayList<>();
        BlockTarget target = allFilters(queue -> queue.answer(2, held::hold));
        try (Served disk = Served.start(server(Filters.trace(left::add).apply(target)))) {
            left.clear();
            held.begin();
            List<CompletableFuture<byte[]>> reads = IntStream.range(0, 8).mapToObj(i -> disk.reading(i * 4096L, 4096)).toList();
            await().atMost(Served.LIMIT).until(() -> held.size() == 2);
            sleep(1000);
            assertThat(held.size()).as("in the target").isEqualTo(2);
            assertThat(left).as("outside the kernel").hasSize(2);

            held.releaseAll();

            reads.forEach(CompletableFuture::join);
            assertThat(held.most()).isEqualTo(2);
        }
    }

    @Test
    void aRequestThatIsInterceptedMakesRoomForAnother() {
        Held held = new Held();
        Fault fault = Fault.of(Errno.EIO).within(0, 4 * 4096);
        BlockTarget target = Filters.fault(fault).apply(queue -> queue.answer(2, held::hold));
        try (Served disk = Served.start(server(target))) {
            held.begin();
            for (int i = 0; i < 4; i++) {
                CompletableFuture<byte[]> faulty = disk.reading(i * 4096L, 4096);
                assertThatThrownBy(faulty::join).hasMessageContaining("Input/output error");
            }
            List<CompletableFuture<byte[]>> reads = IntStream.range(4, 8).mapToObj(i -> disk.reading(i * 4096L, 4096)).toList();
            await().atMost(Served.LIMIT).until(() -> held.size() == 2);
            held.releaseAll();

            reads.forEach(CompletableFuture::join);
            assertThat(held.most()).isEqualTo(2);
        }
    }

    @Test
    void answersFromOtherThreadsPass() throws IOException {
        BlockTarget elsewhere = queue -> queue.answer(
                request -> Mono.fromSupplier(request::complete).subscribeOn(Schedulers.parallel()));
        Fault fault = Fault.of(Errno.EIO).on(Operation.READ).randomly(0.5, 3);
        try (Served disk = Served.start(server(allFilters(Filters.fault(fault).apply(elsewhere))))) {
            List<CompletableFuture<byte[]>> reads = IntStream.range(0, 100).mapToObj(i -> disk.reading(i * 4096L, 4096)).toList();

            await().atMost(Served.LIMIT).until(() -> reads.stream().allMatch(CompletableFuture::isDone));
            assertThat(reads).anyMatch(CompletableFuture::isCompletedExceptionally)
                    .anyMatch(read -> !read.isCompletedExceptionally());
        }
    }

    @Test
    void theErrorOfATargetPasses() {
        BlockTarget broken = queue -> Flux.error(new IllegalStateException("broken"));

        assertThatThrownBy(() -> Served.start(server(allFilters(broken)))).hasMessage("broken");
    }

    @Test
    void theEndOfATargetPasses() {
        BlockTarget tooShort = queue -> queue.take(1).map(BlockRequest::complete);
        try (Served disk = Served.start(server(allFilters(tooShort)))) {
            await().atMost(Served.LIMIT).untilAsserted(() ->
                    assertThatThrownBy(() -> disk.read(0, 4096)).hasMessage("Input/output error"));
        }
    }

    @Test
    void refusesANegativeDelay() {
        assertThatIllegalArgumentException().isThrownBy(() -> Filters.delay(Duration.ofMillis(-1)))
                .withMessage("a delay of PT-0.001S: it cannot be negative");
    }

    /** One of each, none of which does anything to a read but let it pass. */
    private static BlockTarget allFilters(BlockTarget target) {
        return Filters.readOnly().andThen(Filters.fault(Fault.of(Errno.EIO).on(Operation.DISCARD)))
                .andThen(Filters.delay(Operation.READ, Duration.ofMillis(20)))
                .andThen(Filters.trace(line -> {}))
                .apply(target);
    }

    /** Requests in the hands of a target: between begin and release. */
    private static final class Held {

        private final List<Sinks.Empty<Completion>> sinks = new ArrayList<>();
        private boolean holding;
        private int inHand;
        private int most;

        synchronized void begin() {
            holding = true;
            most = 0;
        }

        synchronized Mono<Completion> hold(BlockRequest request) {
            most = Math.max(most, ++inHand);
            Sinks.Empty<Completion> sink = Sinks.empty();
            if (holding) {
                sinks.add(sink);
            } else {
                sink.tryEmitEmpty();
            }
            return sink.asMono().then(Mono.fromSupplier(() -> {
                synchronized (this) {
                    inHand--;
                }
                return request.complete();
            }));
        }

        synchronized int size() {
            return inHand;
        }

        synchronized int most() {
            return most;
        }

        synchronized void releaseAll() {
            holding = false;
            sinks.forEach(Sinks.Empty::tryEmitEmpty);
        }
    }

    private static void sleep(long millis) {
        try {
            Thread.sleep(millis);
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    private static UblkServer server(BlockTarget target) {
        return UblkServer.create().size(SIZE).queueDepth(16).serve(target);
    }
}
