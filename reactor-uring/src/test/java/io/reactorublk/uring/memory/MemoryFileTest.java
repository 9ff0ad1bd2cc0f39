package io.reactorublk.uring.memory;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.WRITE;
import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.uring.Errno;
import io.reactorublk.uring.EventLoop;
import io.reactorublk.uring.FailedSyncContract;
import io.reactorublk.uring.IoBuffer;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.RingConfig;
import io.reactorublk.uring.UringFile;
import io.reactorublk.uring.memory.MemoryFile.Call;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Mono;
import reactor.test.StepVerifier;

/** What a test can order a file to do that no real one would. */
class MemoryFileTest {

    private static final String PATH = "/disk.img";

    private MemoryKernel kernel;
    private MemoryFile disk;
    private UringFile file;

    @BeforeEach
    void open() {
        use(MemoryKernel.create());
    }

    private void use(MemoryKernel used) {
        kernel = used;
        disk = kernel.file(PATH, "0123456789".getBytes(US_ASCII));
        EventLoop loop = EventLoop.start(kernel, "loop", RingConfig.DEFAULT);
        UringFile.open(loop, Path.of(PATH), READ, WRITE).subscribe(opened -> file = opened);
        kernel.settle();
    }

    private IoBuffer buffer(String text) {
        MemorySegment memory = kernel.allocate(text.length(), Arena.ofAuto());
        memory.copyFrom(MemorySegment.ofArray(text.getBytes(US_ASCII)));
        return IoBuffer.of(memory);
    }

    private <T> StepVerifier.Step<T> run(Mono<T> mono) {
        return StepVerifier.create(mono).then(kernel::settle);
    }

    private static boolean isErrno(Throwable failure, Errno errno) {
        return failure instanceof KernelException refusal && refusal.errno() == errno;
    }

    private String content() {
        return new String(disk.content(), US_ASCII);
    }

    private String durable() {
        return new String(disk.durableContent(), US_ASCII);
    }

    @Test
    void theCallThatWasOrderedToFailFailsAndNoOther() {
        disk.fail(Call.WRITE, 2, Errno.EIO);
        run(file.write(buffer("a"), 0)).expectNext(1).verifyComplete();
        run(file.write(buffer("b"), 1)).verifyErrorMatches(e -> isErrno(e, Errno.EIO));
        run(file.write(buffer("c"), 2)).expectNext(1).verifyComplete();
        assertThat(content()).isEqualTo("a1c3456789");
        assertThat(disk.calls(Call.WRITE)).isEqualTo(3);
    }

    @Test
    void aDiskThatIsBrokenStaysSoUntilItIsHealed() {
        disk.failAlways(Call.READ, Errno.EIO);
        for (int i = 0; i < 3; i++) run(file.read(buffer("..."), 0)).verifyErrorMatches(e -> isErrno(e, Errno.EIO));
        disk.heal();
        run(file.read(buffer("..."), 0)).expectNext(3).verifyComplete();
    }

    @Test
    void aTransferCanBeShort() {
        disk.shorten(Call.READ, 2).shorten(Call.WRITE, 1);
        run(file.read(buffer("...."), 0)).expectNext(2).verifyComplete();
        run(file.write(buffer("abc"), 0)).expectNext(1).verifyComplete();
        assertThat(content()).isEqualTo("a123456789");
    }

    @Test
    void aFullDiskTakesWhatItHasRoomForAndThenNothing() {
        disk.capacity(2 * 4096);
        IoBuffer much = IoBuffer.of(kernel.allocate(10_000, Arena.ofAuto()));
        run(file.write(much, 0)).expectNext(8192).verifyComplete();
        run(file.write(much, 8192)).verifyErrorMatches(e -> isErrno(e, Errno.ENOSPC));
        run(file.write(buffer("over what is there"), 0)).expectNext(18).verifyComplete();
    }

    @Test
    void aSlowDiskTakesItsTime() {
        disk.latency(Duration.ofMillis(5));
        StepVerifier.create(file.read(buffer("..."), 0))
                .then(() -> kernel.advanceTime(Duration.ofMillis(4))).expectNoEvent(Duration.ZERO)
                .then(() -> kernel.advanceTime(Duration.ofMillis(1)))
                .expectNext(3).verifyComplete();
    }

    @Test
    void aTimeoutDoesNotStopTheDisk() {
        disk.latency(Duration.ofMillis(5));
        StepVerifier.create(file.write(buffer("abc"), 0).timeout(Duration.ofMillis(1), file.loop()))
                .then(() -> kernel.advanceTime(Duration.ofMillis(1)))
                .verifyError(java.util.concurrent.TimeoutException.class);
        assertThat(content()).isEqualTo("0123456789");
        kernel.advanceTime(Duration.ofMillis(4));
        assertThat(content()).as("the write was on its way").isEqualTo("abc3456789");
    }

    @Test
    void aPowerCutTakesWhatWasNotSynced() {
        run(file.write(buffer("abc"), 0)).expectNext(3).verifyComplete();
        run(file.sync()).verifyComplete();
        run(file.write(buffer("xyz"), 3)).expectNext(3).verifyComplete();
        assertThat(content()).isEqualTo("abcxyz6789");
        assertThat(durable()).isEqualTo("abc3456789");
        kernel.crash();
        assertThat(content()).isEqualTo("abc3456789");
    }

    @Test
    void aDurableWriteSurvivesAloneWhatWasWrittenBeforeIt() {
        run(file.write(buffer("abc"), 0)).expectNext(3).verifyComplete();
        run(file.write(buffer("xyz"), 5, true)).expectNext(3).verifyComplete();
        kernel.crash();
        assertThat(content()).isEqualTo("01234xyz89");
    }

    @Test
    void aSyncThatFailsLosesWhatItWasToWrite() {
        disk.fail(Call.SYNC, Errno.EIO);
        run(file.write(buffer("abc"), 0)).expectNext(3).verifyComplete();
        run(file.sync()).verifyErrorMatches(e -> isErrno(e, Errno.EIO));
        run(file.sync()).verifyComplete();
        assertThat(content()).isEqualTo("abc3456789");
        kernel.crash();
        assertThat(content()).isEqualTo("0123456789");
    }

    /** As a real kernel does: see the same contract on a device that fails. */
    @Nested
    class FailedSync extends FailedSyncContract {

        @Override
        protected <T> T get(Mono<T> mono) {
            CompletableFuture<T> result = mono.toFuture();
            kernel.settle();
            if (result.isCompletedExceptionally()) throw (KernelException) result.exceptionNow();
            return result.resultNow();
        }

        @Override
        protected UringFile open() {
            return get(UringFile.open(file.loop(), Path.of(PATH), READ, WRITE));
        }

        @Override
        protected MemorySegment page() {
            return kernel.allocate(4096, Arena.ofAuto());
        }

        @Override
        protected void breakOnce() {
            disk.fail(Call.SYNC, Errno.EIO);
        }
    }

    @Test
    void withASeedAPowerCutSparesSomeSectors() {
        Set<String> seen = new HashSet<>();
        for (long seed = 0; seed < 32; seed++) {
            use(MemoryKernel.create(seed));
            disk.content("-".repeat(1024).getBytes(US_ASCII));
            run(file.write(buffer("a".repeat(512) + "b".repeat(512)), 0)).expectNext(1024).verifyComplete();
            kernel.crash();
            seen.add("" + content().charAt(0) + content().charAt(1023));
            assertThat(content().substring(0, 512)).matches("-+|a+");
        }
        assertThat(seen).containsExactlyInAnyOrder("--", "a-", "-b", "ab");
    }
}
