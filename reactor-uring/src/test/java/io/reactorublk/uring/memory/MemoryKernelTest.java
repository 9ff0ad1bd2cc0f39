package io.reactorublk.uring.memory;

import static java.nio.file.StandardOpenOption.CREATE;
import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.WRITE;
import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.uring.EventLoop;
import io.reactorublk.uring.IoBuffer;
import io.reactorublk.uring.RingConfig;
import io.reactorublk.uring.UringFile;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.test.StepVerifier;

/** Time that passes when it is told to, and a program that runs twice the same way. */
class MemoryKernelTest {

    private static EventLoop loop(MemoryKernel kernel, String name) {
        return EventLoop.start(kernel, name, RingConfig.DEFAULT);
    }

    @Test
    void daysPassAtOnce() {
        MemoryKernel kernel = MemoryKernel.create();
        EventLoop loop = loop(kernel, "loop");
        long start = kernel.nanoTime();
        StepVerifier.create(Flux.interval(Duration.ofHours(1), loop).take(48))
                .then(() -> kernel.advanceTime(Duration.ofDays(2)))
                .expectNextCount(48).verifyComplete();
        assertThat(kernel.nanoTime() - start).isEqualTo(TimeUnit.DAYS.toNanos(2));
    }

    @Test
    void nothingPassesByItself() {
        MemoryKernel kernel = MemoryKernel.create();
        EventLoop loop = loop(kernel, "loop");
        List<String> heard = new ArrayList<>();
        Mono.just("x").delayElement(Duration.ofMillis(1), loop).subscribe(heard::add);
        kernel.settle();
        assertThat(heard).isEmpty();
        kernel.advanceTime(Duration.ofMillis(1));
        assertThat(heard).containsExactly("x");
    }

    @Test
    void timersOfDifferentLoopsShareOneClock() {
        MemoryKernel kernel = MemoryKernel.create();
        EventLoop first = loop(kernel, "first");
        EventLoop second = loop(kernel, "second");
        List<String> order = new ArrayList<>();
        second.schedule(() -> order.add("2 ms"), 2, TimeUnit.MILLISECONDS);
        first.schedule(() -> order.add("3 ms"), 3, TimeUnit.MILLISECONDS);
        first.schedule(() -> order.add("1 ms"), 1, TimeUnit.MILLISECONDS);
        kernel.advanceTime(Duration.ofMillis(10));
        assertThat(order).containsExactly("1 ms", "2 ms", "3 ms");
    }

    @Test
    void timeCannotBeMovedFromWithinATurn() {
        MemoryKernel kernel = MemoryKernel.create();
        EventLoop loop = loop(kernel, "loop");
        List<Throwable> thrown = new ArrayList<>();
        loop.execute(() -> {
            try {
                kernel.settle();
            } catch (IllegalStateException e) {
                thrown.add(e);
            }
        });
        kernel.settle();
        assertThat(thrown).singleElement().asString().contains("the loop loop is turning");
    }

    @Test
    void aSeedReplaysExactlyAndAnotherDoesNot() {
        assertThat(trace(MemoryKernel.create(1))).isNotEmpty().isEqualTo(trace(MemoryKernel.create(1)));
        assertThat(trace(MemoryKernel.create(1))).isNotEqualTo(trace(MemoryKernel.create(2)));
        assertThat(trace(MemoryKernel.create())).isEqualTo(trace(MemoryKernel.create()));
    }

    /** Two loops, each of which writes a file at many places at once. */
    private static List<String> trace(MemoryKernel kernel) {
        List<String> trace = new ArrayList<>();
        kernel.trace(trace::add);
        for (String name : List.of("a", "b")) {
            EventLoop loop = loop(kernel, name);
            IoBuffer buffer = IoBuffer.of(kernel.allocate(16, Arena.ofAuto()));
            Mono.usingWhen(UringFile.open(loop, Path.of("/" + name), READ, WRITE, CREATE),
                    file -> Flux.range(0, 20).flatMap(i -> file.write(buffer, 16L * i)
                            .doOnNext(n -> trace.add(name + " wrote " + i))).then(file.sync()),
                    UringFile::close).then(loop.disposeGracefully()).subscribe();
        }
        kernel.settle();
        assertThat(kernel.openDescriptors()).isZero();
        return trace;
    }

    @Test
    void aKilledProcessLeavesOnlyItsFiles() {
        MemoryKernel kernel = MemoryKernel.create();
        EventLoop loop = loop(kernel, "loop");
        List<Object> heard = new ArrayList<>();
        IoBuffer buffer = IoBuffer.of(kernel.allocate(1, Arena.ofAuto()));
        kernel.pipe("/pipe");
        UringFile.open(loop, Path.of("/pipe"), READ, WRITE).flatMap(pipe -> pipe.read(buffer, 0))
                .subscribe(heard::add, heard::add);
        kernel.settle();
        assertThat(kernel.openDescriptors()).as("ring, wake-up, pipe").isEqualTo(3);
        kernel.kill();
        kernel.settle();
        assertThat(heard).isEmpty();
        assertThat(kernel.openDescriptors()).isZero();
        assertThat(kernel.liveMappings()).isZero();
        EventLoop next = loop(kernel, "next process");
        StepVerifier.create(UringFile.open(next, Path.of("/pipe"), READ, WRITE)).then(kernel::settle)
                .expectNextCount(1).verifyComplete();
    }

    @Test
    void whatNobodyCatchesOnALoopIsTold() {
        MemoryKernel kernel = MemoryKernel.create();
        List<Throwable> uncaught = new ArrayList<>();
        kernel.onUncaught(uncaught::add);
        EventLoop loop = loop(kernel, "loop");
        IllegalStateException task = new IllegalStateException("a task, for a test");
        IllegalStateException timer = new IllegalStateException("a timer, for a test");
        IllegalStateException handler = new IllegalStateException("a handler, for a test");
        loop.schedule(() -> fail(task));
        loop.schedule(() -> fail(timer), 1, TimeUnit.MILLISECONDS);
        loop.execute(() -> loop.ring().stage((result, flags) -> fail(handler)).nop());
        kernel.settle();
        assertThat(uncaught).containsExactly(task, handler);
        kernel.advanceTime(Duration.ofMillis(1));
        assertThat(uncaught).containsExactly(task, handler, timer);
    }

    private static void fail(RuntimeException e) {
        throw e;
    }

    @Test
    void onlyWhatIsDueLaterIsADeadline() {
        MemoryKernel kernel = MemoryKernel.create();
        EventLoop loop = loop(kernel, "loop");
        kernel.settle();
        assertThat(kernel.hasDeadline()).isFalse();
        loop.schedule(() -> {}, 1, TimeUnit.DAYS).dispose();
        kernel.settle();
        assertThat(kernel.hasDeadline()).as("after a timer that was taken back").isFalse();
        loop.schedule(() -> {}, 1, TimeUnit.DAYS);
        kernel.settle();
        assertThat(kernel.hasDeadline()).isTrue();
    }

    /** A path of the machine's own, as {@link Path#toString} writes it, is one of this kernel's. */
    @Test
    void pathsMayBeWrittenAsElsewhere() {
        assertThat(FileSystem.absolute("\\dir\\disk.img", '\\')).isEqualTo("/dir/disk.img");
        assertThat(FileSystem.absolute("C:\\dir\\", '\\')).isEqualTo("/C:/dir");
        assertThat(FileSystem.absolute("disk.img", '/')).isEqualTo("/disk.img");
        assertThat(FileSystem.absolute("/a\\b", '/')).as("where that is a letter like any other").isEqualTo("/a\\b");
    }
}
