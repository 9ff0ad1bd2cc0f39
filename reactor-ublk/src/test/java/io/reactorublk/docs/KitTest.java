package io.reactorublk.docs;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.BlockRequest;
import io.reactorublk.BlockTarget;
import io.reactorublk.Completion;
import io.reactorublk.Operation;
import io.reactorublk.Recovery;
import io.reactorublk.UblkDevice;
import io.reactorublk.UblkServer;
import io.reactorublk.memory.MemoryDisk;
import io.reactorublk.memory.MemoryQueue;
import io.reactorublk.memory.MemoryUblk;
import io.reactorublk.target.FileTarget;
import io.reactorublk.target.Filters;
import io.reactorublk.target.NullTarget;
import io.reactorublk.target.RamTarget;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.memory.MemoryFile;
import io.reactorublk.uring.memory.MemoryFile.Call;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;
import reactor.test.StepVerifier;

/** The examples of the manual's page on tests without a kernel. */
public class KitTest {

    // tag::ram[]
    final MemoryUblk ublk = MemoryUblk.create();        // a kernel in memory, with the ublk driver loaded

    @Test
    void readsBackWhatWasWritten() {
        UblkServer server = UblkServer.create().kernel(ublk.kernel()).size(1 << 20).serve(new RamTarget(1 << 20));

        StepVerifier.create(server.start().map(ublk::disk)
                        .flatMap(disk -> disk.write(4096, "hello".getBytes(UTF_8)).then(disk.read(4096, 5))))
                .then(ublk::settle)                     // turn every loop until nothing moves
                .assertNext(bytes -> assertThat(bytes).asString().isEqualTo("hello"))
                .verifyComplete();
    }
    // end::ram[]

    // tag::serve[]
    private MemoryDisk serve(BlockTarget target) {
        return ublk.disk(ublk.get(UblkServer.create().kernel(ublk.kernel()).size(1 << 20).serve(target).start()));
    }
    // end::serve[]

    // tag::errno[]
    @Test
    void aDiskThatIsFullSaysSo() {
        MemoryDisk disk = serve(queue -> queue.answer(request -> Mono.just(
                request.operation() == Operation.WRITE ? request.fail(Errno.ENOSPC) : request.complete())));

        StepVerifier.create(disk.write(0, new byte[512])).then(ublk::settle)
                .verifyErrorSatisfies(e -> assertThat(((KernelException) e).errno()).isEqualTo(Errno.ENOSPC));
    }
    // end::errno[]

    // tag::short[]
    @Test
    void whatWasNotDoneIsAskedForAgain() {
        List<Long> asked = new ArrayList<>();
        MemoryDisk disk = serve(queue -> queue.answer(request -> {
            if (request.operation() == Operation.WRITE) asked.add(request.length());
            return Mono.just(request.complete((int) Math.min(request.length(), 1024)));
        }));

        ublk.get(disk.write(0, new byte[4096]));        // subscribes, and lets everything happen until it has ended
        assertThat(asked).containsExactly(4096L, 3072L, 2048L, 1024L);
    }
    // end::short[]

    // tag::demand[]
    @Test
    void whatNobodyAskedForWaitsInTheKernel() {
        MemoryQueue alone = ublk.queue(8);              // a device whose queue is yours to subscribe to

        StepVerifier.create(alone.queue(), 0)           // a queue is a Flux: no adapter
                .then(() -> alone.disk().readBlocks(5)).then(ublk::settle)
                .expectNoEvent(Duration.ofMillis(10))
                .thenRequest(3).then(ublk::settle).expectNextCount(3)
                .then(() -> assertThat(alone.disk().waiting()).isEqualTo(2))
                .thenCancel().verify();
    }
    // end::demand[]

    // tag::time[]
    @Test
    void aSlowDiskTakesItsTimeAndTheTestNone() {
        MemoryDisk disk = serve(Filters.delay(Operation.WRITE, Duration.ofHours(1)).apply(new RamTarget(1 << 20)));

        StepVerifier.create(disk.write(0, new byte[512]))
                .then(() -> ublk.advanceTime(Duration.ofMinutes(59)))
                .expectNoEvent(Duration.ofMillis(10))
                .then(() -> ublk.advanceTime(Duration.ofMinutes(1)))
                .verifyComplete();
    }
    // end::time[]

    private static Mono<Completion> lostSomewhere(BlockRequest request) {
        return request.operation() == Operation.WRITE ? Mono.never() : Mono.just(request.complete());
    }

    // tag::timeout[]
    @Test
    void whatTakesTooLongIsGivenUp() {
        MemoryDisk disk = serve(queue -> queue.answer(request ->
                lostSomewhere(request).timeout(Duration.ofSeconds(5), queue.loop())));

        StepVerifier.create(disk.write(0, new byte[512]))
                .then(() -> ublk.advanceTime(Duration.ofSeconds(5)))
                .verifyErrorSatisfies(e -> assertThat(((KernelException) e).errno()).isEqualTo(Errno.ETIMEDOUT));
    }
    // end::timeout[]

    private static byte[] blockingClient(BlockRequest request) {
        return new byte[(int) request.length()];
    }

    // tag::threads[]
    @Test
    void whatBlocksDoesSoElsewhere() {
        MemoryDisk disk = serve(queue -> queue.answer(request -> Mono.fromCallable(() -> blockingClient(request))
                .subscribeOn(Schedulers.boundedElastic())
                .map(bytes -> request.complete(bytes.length))));

        ublk.get(disk.write(0, new byte[512]));         // settle() would not wait for a thread that is not this kernel's
    }

    @Test
    void anHourOfReactorsOwnClockTakesNoTimeEither() {
        NullTarget nothing = new NullTarget();
        BlockTarget late = queue -> nothing.serve(queue.holdUntil(request -> Mono.delay(Duration.ofHours(1))));
        UblkServer server = UblkServer.create().kernel(ublk.kernel()).size(1 << 20).serve(late);

        StepVerifier.withVirtualTime(() -> server.start().map(ublk::disk).flatMap(disk -> disk.read(0, 512)))
                .then(ublk::settle)
                .thenAwait(Duration.ofHours(1)).then(ublk::settle)
                .expectNextCount(1).verifyComplete();
    }
    // end::threads[]

    // tag::fault[]
    @Test
    void aFailingFileCostsOneRequest() {
        MemoryFile file = ublk.kernel().file("/disk.img", new byte[1 << 20]);
        MemoryDisk disk = serve(FileTarget.of(Path.of("/disk.img")));

        file.latency(Duration.ofMillis(5))              // of every call
                .shorten(Call.WRITE, 100)               // the next write does so many bytes,
                .fail(Call.WRITE, 2, Errno.ENOSPC);     // the one after that nothing
        StepVerifier.create(disk.write(0, new byte[512])).then(() -> ublk.advanceTime(Duration.ofMillis(10)))
                .verifyErrorSatisfies(e -> assertThat(((KernelException) e).errno()).isEqualTo(Errno.ENOSPC));
        ublk.get(disk.write(0, new byte[512]));         // the next one goes well
    }
    // end::fault[]

    // tag::durable[]
    @Test
    void whatWasFlushedOutlivesAPowerCutAndWhatWasDiscardedIsGone() {
        MemoryFile file = ublk.kernel().file("/disk.img", new byte[1 << 20]);
        MemoryDisk disk = serve(FileTarget.of(Path.of("/disk.img")));

        ublk.get(disk.write(0, "one two".getBytes(UTF_8)).then(disk.flush()).then(disk.write(4, "too".getBytes(UTF_8))));
        file.crash();                                   // the power fails
        assertThat(ublk.get(disk.read(0, 7))).asString().isEqualTo("one two");

        ublk.get(disk.discard(0, 4096));
        assertThat(ublk.get(disk.read(0, 7))).isEqualTo(new byte[7]);
    }
    // end::durable[]

    // tag::crash[]
    @Test
    void aWriteIsDoneWhereverItsServerDies() {
        boolean written = false;
        for (int steps = 0; !written; steps++) {        // once after each step there is
            MemoryUblk ublk = MemoryUblk.create();
            UblkServer server = UblkServer.create().kernel(ublk.kernel()).size(1 << 20)
                    .recovery(Recovery.REISSUE)         // what a dead server had in hand the next one gets
                    .serve(FileTarget.of(Path.of("/disk.img")));
            ublk.kernel().file("/disk.img", new byte[1 << 20]);
            UblkDevice device = ublk.get(server.start());

            CompletableFuture<Void> write = ublk.disk(device).write(0, "hello".getBytes(UTF_8)).toFuture();
            for (int i = 0; i < steps; i++) ublk.step();
            written = write.isDone();
            ublk.kill();                                // as by SIGKILL; files, applications and devices live on
            ublk.get(server.recover(device.id()));
            ublk.get(Mono.fromFuture(write));
            assertThat(ublk.get(ublk.disk(device).read(0, 5))).asString().isEqualTo("hello");
            ublk.close();
        }
    }
    // end::crash[]

    // tag::left[]
    @Test
    void nothingIsLeftOfADevice() {
        UblkDevice device = ublk.get(UblkServer.create().kernel(ublk.kernel()).size(1 << 20).serve(new NullTarget()).start());
        ublk.get(device.disposeLater());
        ublk.assertNothingIsLeft();                     // no device, nothing open, nothing mapped
    }
    // end::left[]

    // tag::after[]
    @AfterEach
    void nobodyBrokeARule() {
        ublk.assertEveryRequestAnswered();              // once
        assertThat(ublk.breaches()).isEmpty();          // such as a second answer, or memory written after the first
        ublk.close();
    }
    // end::after[]
}
