package io.reactorublk.uring;

import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.WRITE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.RejectedExecutionException;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Mono;

/** The end of a file, and of its loop. */
abstract class FileCloseContract extends FileHarness {

    private static Stream<Mono<?>> allOperations(UringFile file, IoBuffer.Segment buffer) {
        return Stream.of(file.read(buffer, 0), file.write(buffer, 0), file.readv(List.of(buffer), 0),
                file.writev(List.of(buffer), 0), file.sync(), file.dataSync(), file.dropCache(), file.punchHole(0, 1),
                file.zeroRange(0, 1), file.allocate(0, 1), file.status());
    }

    @Test
    void aClosedFileRefusesEverythingWithoutAskingTheKernel() {
        UringFile file = fileWith("abc");
        world.get(file.close());
        UringFile next = fileWith("xyz");                              // may have the same descriptor now
        allOperations(file, buffer("nnn")).forEach(operation -> assertThatThrownBy(() -> world.get(operation))
                .isInstanceOf(IllegalStateException.class).hasMessageContaining(file.path().toString()));
        assertThat(content(next)).isEqualTo("xyz");
    }

    @Test
    void closingWaitsForWhatIsUnderWay() {
        UringFile pipe = openPipe();
        UringFile writer = open(pipe.path(), WRITE);
        List<String> order = Collections.synchronizedList(new ArrayList<>());
        pipe.read(buffer(1), 0).subscribe(n -> order.add("read " + n));
        pipe.close().subscribe(nothing -> {}, e -> order.add("failed"), () -> order.add("closed"));
        onLoop(() -> {});
        world.settle();
        assertThat(order).isEmpty();
        write(writer, buffer("x"), 0);
        world.await(() -> order.size() == 2);
        assertThat(order).containsExactly("read 1", "closed");
    }

    @Test
    void aFileThatIsClosingRefusesMore() {
        UringFile pipe = openPipe();
        Signals<Integer> read = subscribe(pipe.read(buffer(1), 0));
        Signals<Void> close = subscribe(pipe.close());
        assertThatThrownBy(() -> world.get(pipe.read(buffer(1), 0))).isInstanceOf(IllegalStateException.class);
        read.cancel();
        world.await(() -> close.heard.equals(List.of("complete")));
    }

    @Test
    void closingIsLazy() {
        UringFile file = fileWith("abc");
        Mono<Void> close = file.close();
        Signals<Void> signals = subscribe(close, 0);
        assertThat(read(file, buffer(3), 0)).isEqualTo(3);
        signals.request(1);
        world.await(() -> signals.heard.equals(List.of("complete")));
    }

    @Test
    void closingTwiceIsClosingOnce() {
        UringFile file = fileWith("abc");
        world.get(file.close());
        UringFile next = fileWith("xyz");
        world.get(file.close());
        assertThat(read(next, buffer(3), 0)).as("whoever got the descriptor").isEqualTo(3);
    }

    @Test
    void aCloseThatWasCancelledClosesAllTheSame() {
        long descriptors = world.descriptors();
        UringFile file = fileWith("abc");
        subscribe(file.close()).cancel();
        world.await(() -> world.descriptors() == descriptors);
    }

    @Test
    void aClosedFileLeavesNothingBehind() {
        long descriptors = world.descriptors();
        long mapped = spy.memoryStillMapped();
        for (int i = 0; i < 20; i++) {
            UringFile file = fileWith("abc");
            allOperations(file, buffer(3)).forEach(operation -> world.get(operation.onErrorComplete()));
            world.get(file.close());
        }
        assertThat(world.descriptors()).isEqualTo(descriptors);
        // Arena of the test: what buffer(3) obtained is not the spy's.
        assertThat(spy.memoryStillMapped()).isEqualTo(mapped);
    }

    @Test
    void usingWhenClosesTheFile() {
        long descriptors = world.descriptors();
        int read = world.get(Mono.usingWhen(UringFile.open(loop, world.file(bytes("abc")), READ),
                file -> file.read(buffer(10), 0), UringFile::close));
        assertThat(read).isEqualTo(3);
        assertThat(world.descriptors()).isEqualTo(descriptors);
    }

    @Test
    void onADisposedLoopEverythingIsRejected() {
        UringFile file = fileWith("abc");
        world.get(loop.disposeGracefully());
        allOperations(file, buffer(3)).forEach(operation -> assertThatThrownBy(() -> world.get(operation))
                .isInstanceOf(RejectedExecutionException.class).hasMessageContaining(file.path().toString()));
        assertThatThrownBy(() -> world.get(UringFile.open(loop, file.path(), READ)))
                .isInstanceOf(RejectedExecutionException.class);
    }

    @Test
    void whatIsUnderWayWhenTheLoopIsDisposedIsRejected() {
        UringFile pipe = openPipe();
        Signals<Integer> read = subscribe(pipe.read(buffer(1), 0));
        onLoop(() -> {});
        loop.dispose();
        world.await(() -> !read.heard.isEmpty());
        assertThat(read.heard).singleElement().isInstanceOf(RejectedExecutionException.class);
    }

    @Test
    void whatIsRequestedInTheTurnOfTheDisposalIsRejected() {
        UringFile file = fileWith("abc");
        List<Signals<?>> signals = new ArrayList<>();
        onLoop(() -> {
            loop.dispose();
            allOperations(file, buffer(3)).forEach(operation -> signals.add(subscribe(operation)));
        });
        assertThat(signals).allSatisfy(
                one -> assertThat(one.heard).singleElement().isInstanceOf(RejectedExecutionException.class));
    }

    @Test
    void aFileCanBeClosedAfterItsLoop() {
        UringFile file = fileWith("abc");
        world.get(loop.disposeGracefully());
        long descriptors = world.descriptors();
        world.get(file.close());
        assertThat(world.descriptors()).isEqualTo(descriptors - 1);
        assertThat(spy.memoryStillMapped()).isZero();
    }

    @Test
    void aFileCanBeClosedWhileItsLoopEnds() {
        for (int i = 0; i < 50; i++) {
            EventLoop ending = start(kernel());
            UringFile pipe = world.get(UringFile.open(ending, world.file(bytes("abc")), READ));
            long descriptors = world.descriptors();
            Signals<Integer> read = subscribe(pipe.read(buffer(1), 0));
            Signals<Void> close = subscribe(pipe.close());
            ending.dispose();
            world.await(() -> !read.heard.isEmpty() && close.heard.equals(List.of("complete")));
            world.get(ending.disposeGracefully());
            assertThat(world.descriptors()).as("ring, wake-up, file").isEqualTo(descriptors - 3);
        }
    }
}
