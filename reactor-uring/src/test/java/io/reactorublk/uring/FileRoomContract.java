package io.reactorublk.uring;

import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.WRITE;
import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Mono;

/** A loop on which few operations of files may be under way at a time. */
abstract class FileRoomContract extends FileHarness {

    private static final int ROOM = 2;

    private EventLoop narrow;
    private UringFile pipe;
    private UringFile writer;

    @BeforeEach
    final void openBothEnds() {
        narrow = start(spy.kernel(), new RingConfig(8, 64, false, ROOM));
        Path path = world.namedPipe();
        pipe = world.get(UringFile.open(narrow, path, READ, WRITE));
        writer = open(path, READ, WRITE);
    }

    @AfterEach
    final void closePipe() {
        narrow.dispose();
        world.get(pipe.close());
    }

    private List<Signals<Integer>> startReads(int count) {
        List<Signals<Integer>> reads = new ArrayList<>();
        for (int i = 0; i < count; i++) reads.add(subscribe(pipe.read(buffer(1), 0)));
        return reads;
    }

    private int inKernel() {
        AtomicInteger inFlight = new AtomicInteger();
        world.get(Mono.fromRunnable(() -> inFlight.set(narrow.ring().inFlight())).subscribeOn(narrow));
        return inFlight.get() - 1;                                     // the loop's own, for being woken
    }

    private long ended(List<Signals<Integer>> reads) {
        return reads.stream().filter(read -> !read.heard.isEmpty()).count();
    }

    @Test
    void moreThanThereIsRoomForTakeTurns() {
        List<Signals<Integer>> reads = startReads(5);
        assertThat(inKernel()).isEqualTo(ROOM);
        write(writer, buffer("a"), 0);
        world.await(() -> ended(reads) == 1);
        world.await(() -> inKernel() == ROOM);
        write(writer, buffer("bcde"), 0);
        world.await(() -> ended(reads) == 5);
        assertThat(reads).allSatisfy(read -> assertThat(read.heard).containsExactly(1, "complete"));
        assertThat(inKernel()).isZero();
    }

    @Test
    void whatWaitsForRoomEndsAsSoonAsItIsCancelled() {
        List<Signals<Integer>> reads = startReads(ROOM);
        List<String> ends = Collections.synchronizedList(new ArrayList<>());
        IoBuffer.Segment buffer = new IoBuffer.Segment(memory(1), new IoBuffer.Owner() {
            @Override
            public void begin() {}

            @Override
            public void end(IoBuffer part, int result, boolean cancelled) {
                ends.add(Errno.of(result) + " " + cancelled);
            }
        });
        Signals<Integer> waiting = subscribe(pipe.read(buffer, 0));
        List<Signals<Integer>> behind = startReads(1);
        assertThat(inKernel()).isEqualTo(ROOM);
        waiting.cancel();
        world.await(() -> ends.size() == 1);
        assertThat(ends).containsExactly("ECANCELED true");
        assertThat(ended(reads)).isZero();
        write(writer, buffer("abc"), 0);
        world.await(() -> ended(reads) + ended(behind) == 3);
        assertThat(waiting.heard).isEmpty();
        assertThat(ends).hasSize(1);
    }

    /** Each makes room for the next as it ends. */
    @Test
    void whatWaitsForRoomEndsWithTheLoop() {
        List<Signals<Integer>> reads = startReads(5000);
        assertThat(inKernel()).isEqualTo(ROOM);
        world.get(narrow.disposeGracefully());
        assertThat(reads).allSatisfy(read ->
                assertThat(read.heard).singleElement().isInstanceOf(RejectedExecutionException.class));
    }

    @Test
    void whatFailsMakesRoom() {
        UringFile directory = world.get(UringFile.open(narrow, world.directory()));
        for (int i = 0; i < 2 * ROOM; i++) assertRefused(Errno.EISDIR, directory.read(buffer(1), 0));
        for (int i = 0; i < 2 * ROOM; i++) {
            IoBuffer.Fixed foreign = new IoBuffer.Fixed(loop.ring(), 0, 0, 1);
            Signals<Integer> refused = subscribe(directory.read(foreign, 0));
            world.await(() -> !refused.heard.isEmpty());
            assertThat(refused.heard).singleElement().isInstanceOf(IllegalArgumentException.class);
        }
        world.get(directory.close());
        List<Signals<Integer>> reads = startReads(1);
        assertThat(inKernel()).isEqualTo(1);
        write(writer, buffer("a"), 0);
        world.await(() -> ended(reads) == 1);
    }
}
