package io.reactorublk.uring;

import static java.nio.file.StandardOpenOption.CREATE;
import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.WRITE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.ref.WeakReference;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;
import reactor.core.Exceptions;

/** Cancelling a file operation: before it starts, on its way, too late. */
abstract class FileCancelContract extends FileHarness {

    private void awaitIdle() {
        AtomicInteger inFlight = new AtomicInteger();
        // One is the loop's own, for being woken.
        world.await(() -> {
            onLoop(() -> inFlight.set(loop.ring().inFlight()));
            return inFlight.get() == 1;
        });
    }

    @Test
    void whatIsCancelledBeforeItIsRequestedNeverStarts() {
        UringFile file = fileWith("abc");
        Signals<Integer> write = subscribe(file.write(buffer("x"), 0), 0);
        write.cancel();
        write.request(1);
        onLoop(() -> {});
        awaitIdle();
        assertThat(content(file)).isEqualTo("abc");
        assertThat(write.heard).isEmpty();
    }

    @Test
    void aWaitingReadThatIsCancelledEndsInTheKernelAndSaysNothing() {
        UringFile pipe = openPipe();
        Signals<Integer> read = subscribe(pipe.read(buffer(1), 0));
        onLoop(() -> assertThat(loop.ring().inFlight()).isEqualTo(2));
        read.cancel();
        awaitIdle();
        assertThat(read.heard).isEmpty();
    }

    @Test
    void aCancelledReadTakesNothing() {
        UringFile pipe = openPipe();
        Signals<Integer> cancelled = subscribe(pipe.read(buffer(1), 0));
        cancelled.cancel();
        awaitIdle();
        write(pipe, buffer("x"), 0);
        IoBuffer.Segment buffer = buffer(1);
        assertThat(read(pipe, buffer, 0)).isEqualTo(1);
        assertThat(text(buffer)).isEqualTo("x");
    }

    @Test
    void aCancellationOnTheLoopInTheSameTurnIsKept() {
        UringFile pipe = openPipe();
        AtomicReference<Signals<Integer>> read = new AtomicReference<>();
        onLoop(() -> {
            read.set(subscribe(pipe.read(buffer(1), 0)));
            read.get().cancel();
        });
        awaitIdle();
        assertThat(read.get().heard).isEmpty();
    }

    @Test
    void whatCompletesAfterItWasCancelledSaysNothing() {
        UringFile file = fileWith("abc");
        AtomicReference<Signals<Integer>> write = new AtomicReference<>();
        onLoop(() -> {
            write.set(subscribe(file.write(buffer("x"), 0)));          // done before the kernel comes to the cancellation
            write.get().cancel();
        });
        awaitIdle();
        assertThat(write.get().heard).isEmpty();
    }

    @Test
    void cancellingWhatHasEndedDoesNothing() {
        UringFile file = fileWith("abc");
        Signals<Integer> read = subscribe(file.read(buffer(3), 0));
        world.await(() -> read.heard.size() == 2);
        read.cancel();
        awaitIdle();
        assertThat(read.heard).containsExactly(3, "complete");
    }

    @Test
    void aTimeoutCancels() {
        UringFile pipe = openPipe();
        assertThatThrownBy(() -> world.get(pipe.read(buffer(1), 0).timeout(Duration.ofMillis(1), loop)))
                .matches(e -> Exceptions.unwrap(e) instanceof TimeoutException);
        awaitIdle();
    }

    @Test
    void aFileWhoseOpeningWasCancelledTooLateIsClosed() {
        assertNothingStaysOpen(world.file(bytes("abc")), READ);        // found at once: open before it can be cancelled
    }

    @Test
    void anOpeningThatWasCancelledLeavesNothingBehind() {
        assertNothingStaysOpen(world.freshPath(), READ, WRITE, CREATE); // by a worker, after the cancellation or never
    }

    private void assertNothingStaysOpen(Path path, OpenOption... options) {
        long descriptors = world.descriptors();
        long mapped = spy.memoryStillMapped();
        for (int i = 0; i < 20; i++) {
            onLoop(() -> {
                Disposable opening = UringFile.open(loop, path, options).subscribe();
                opening.dispose();
            });
        }
        awaitIdle();
        assertThat(world.descriptors()).isEqualTo(descriptors);
        assertThat(spy.memoryStillMapped()).isEqualTo(mapped);
    }

    @Test
    void aCancelledOperationKeepsItsMemoryUntilItHasEnded() {
        UringFile pipe = openPipe();
        onLoop(() -> {
            WeakReference<IoBuffer> memory = cancelledRead(pipe);
            for (int i = 0; i < 3; i++) System.gc();
            assertThat(memory.get()).as("staged, and not yet in the kernel").isNotNull();
        });
        awaitIdle();
    }

    @Test
    void anOperationThatHasEndedLetsGoOfItsMemory() {
        UringFile pipe = openPipe();
        AtomicReference<WeakReference<IoBuffer>> memory = new AtomicReference<>();
        onLoop(() -> memory.set(cancelledRead(pipe)));
        awaitIdle();
        world.await(() -> {
            System.gc();
            return memory.get().get() == null;
        });
    }

    /** Of memory that nobody else holds. */
    private WeakReference<IoBuffer> cancelledRead(UringFile pipe) {
        IoBuffer buffer = IoBuffer.of(kernel().allocate(16, Arena.ofAuto()));
        subscribe(pipe.read(buffer, 0)).cancel();
        return new WeakReference<>(buffer);
    }
}
