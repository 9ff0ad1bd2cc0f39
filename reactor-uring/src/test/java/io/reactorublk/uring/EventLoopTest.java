package io.reactorublk.uring;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.reactorublk.uring.MemoryWorld.Chance;
import io.reactorublk.uring.memory.MemoryKernel;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.RejectedExecutionException;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.MethodSource;

/** The contracts of a loop, in memory: in order, and by some seeds; and how one dies. */
class EventLoopTest {

    @Nested
    @ParameterizedClass
    @MethodSource("io.reactorublk.uring.MemoryWorld$Chance#all")
    class Turns extends EventLoopContract {

        @Parameter
        Chance chance;

        @Override
        World newWorld() {
            return chance.world();
        }
    }

    @Nested
    @ParameterizedClass
    @MethodSource("io.reactorublk.uring.MemoryWorld$Chance#all")
    class Timers extends LoopTimerContract {

        @Parameter
        Chance chance;

        @Override
        World newWorld() {
            return chance.world();
        }
    }

    @Nested
    @ParameterizedClass
    @MethodSource("io.reactorublk.uring.MemoryWorld$Chance#all")
    class Ends extends LoopEndContract {

        @Parameter
        Chance chance;

        @Override
        World newWorld() {
            return chance.world();
        }
    }

    /** As on a thread of its own, where the thread ends with it; here whoever turns it learns of it too. */
    @Test
    void aLoopWhoseTurnTheKernelRefusesTellsWhoeverWaitsForItsEnd() {
        MemoryKernel memory = MemoryKernel.create();
        KernelSpy spy = new KernelSpy(memory);
        EventLoop loop = EventLoop.start(spy.kernel(), "loop", RingConfig.DEFAULT);
        memory.settle();
        List<Throwable> told = new ArrayList<>();
        loop.disposeGracefully().subscribe(nothing -> {}, told::add);
        spy.refuse("ioUringEnter", Errno.EBADF);
        try (LogCapture log = LogCapture.of(EventLoop.class)) {
            assertThatThrownBy(memory::settle).isInstanceOf(KernelException.class).hasMessageContaining("EBADF");
            assertThat(log.thrown()).singleElement().asString().contains("EBADF");
        }
        assertThat(told).singleElement().isInstanceOf(KernelException.class);
        memory.settle();
        assertThat(memory.openDescriptors()).as("its ring is closed; to its wake-up somebody may be about to write").isEqualTo(1);
    }

    /** Reactor gives such an error to nobody, so who waits for its signal would wait for ever. */
    @Test
    void aLoopDiesOfWhatIsFatalForTheJvm() {
        MemoryKernel memory = MemoryKernel.create();
        EventLoop loop = EventLoop.start(memory, "loop", RingConfig.DEFAULT);
        List<Throwable> told = new ArrayList<>();
        loop.onDispose().subscribe(nothing -> {}, told::add);
        loop.execute(() -> {
            throw new OutOfMemoryError("for a test");
        });
        try (LogCapture log = LogCapture.of(EventLoop.class)) {
            assertThatThrownBy(memory::settle).isInstanceOf(OutOfMemoryError.class);
            assertThat(log.thrown()).hasSize(1);
        }
        assertThat(told).singleElement().isInstanceOf(OutOfMemoryError.class);
        assertThat(loop.isDisposed()).isTrue();
    }

    @Test
    void tasksOfALoopThatHasDiedAreRunOrRejected() {
        MemoryKernel memory = MemoryKernel.create();
        KernelSpy spy = new KernelSpy(memory);
        EventLoop loop = EventLoop.start(spy.kernel(), "loop", RingConfig.DEFAULT);
        List<String> ran = new ArrayList<>();
        loop.beforeEnter(() -> loop.schedule(() -> ran.add("too late for the turn")));
        spy.refuse("ioUringEnter", Errno.EBADF);
        try (LogCapture log = LogCapture.of(EventLoop.class)) {
            assertThatThrownBy(memory::settle).isInstanceOf(KernelException.class);
            assertThat(log.thrown()).hasSize(1);
        }
        assertThat(ran).containsExactly("too late for the turn");
        assertThatThrownBy(() -> loop.execute(() -> ran.add("after the end"))).isInstanceOf(RejectedExecutionException.class);
        assertThat(ran).hasSize(1);
    }
}
