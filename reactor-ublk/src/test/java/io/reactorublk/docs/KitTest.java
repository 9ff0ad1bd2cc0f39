package io.reactorublk.docs;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.UblkServer;
import io.reactorublk.memory.MemoryDisk;
import io.reactorublk.memory.MemoryQueue;
import io.reactorublk.memory.MemoryUblk;
import io.reactorublk.target.FileTarget;
import io.reactorublk.target.Filters;
import io.reactorublk.target.RamTarget;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.memory.MemoryFile;
import io.reactorublk.uring.memory.MemoryFile.Call;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import reactor.test.StepVerifier;

/** The examples of the manual's page on tests without a kernel. */
class KitTest {

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
        UblkServer server = UblkServer.create().kernel(ublk.kernel()).size(1 << 20)
                .serve(Filters.delay(Duration.ofHours(1)).apply(new RamTarget(1 << 20)));

        StepVerifier.create(server.start().map(ublk::disk).flatMap(disk -> disk.read(0, 512)))
                .then(() -> ublk.advanceTime(Duration.ofMinutes(59)))
                .expectNoEvent(Duration.ofMillis(10))
                .then(() -> ublk.advanceTime(Duration.ofMinutes(1)))
                .expectNextCount(1)
                .verifyComplete();
    }
    // end::time[]

    // tag::fault[]
    @Test
    void aFailingFileCostsOneRequest() {
        MemoryFile file = ublk.kernel().file("/disk.img", new byte[1 << 20]);
        MemoryDisk disk = ublk.disk(ublk.get(UblkServer.create().kernel(ublk.kernel()).size(1 << 20)
                .serve(FileTarget.of(Path.of("/disk.img"))).start()));

        file.fail(Call.WRITE, Errno.ENOSPC);            // the next one
        StepVerifier.create(disk.write(0, new byte[512])).then(ublk::settle)
                .verifyErrorSatisfies(e -> assertThat(((KernelException) e).errno()).isEqualTo(Errno.ENOSPC));
        ublk.get(disk.write(0, "again".getBytes(UTF_8)).then(disk.flush()));
        assertThat(new String(file.durableContent(), 0, 5, UTF_8)).isEqualTo("again");
    }
    // end::fault[]

    // tag::after[]
    @AfterEach
    void nobodyBrokeARule() {
        assertThat(ublk.breaches()).isEmpty();          // such as memory touched after its request was answered
        ublk.close();
    }
    // end::after[]
}
