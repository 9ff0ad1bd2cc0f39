package io.reactorublk.uring;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.reactorublk.uring.abi.linux_h;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Mono;

/** Memory and descriptors that are somebody's only for a while: who owns them hears of each operation once, or of none. */
abstract class FileOwnerContract extends FileHarness {

    /** Counts, and may refuse. */
    private final class Counter implements IoBuffer.Owner {

        private final List<String> heard = Collections.synchronizedList(new ArrayList<>());
        /** What of. */
        private final List<String> ends = Collections.synchronizedList(new ArrayList<>());
        private volatile @Nullable RuntimeException refusal;

        @Override
        public void begin() {
            heard.add(loop.inLoop() ? "begin" : "begin elsewhere");
            RuntimeException thrown = refusal;
            if (thrown != null) throw thrown;
        }

        @Override
        public void end(IoBuffer part, int result, boolean cancelled) {
            heard.add(loop.inLoop() ? "end" : "end elsewhere");
            ends.add(part.length() + " bytes: " + (result < 0 ? Errno.of(result) : result) + (cancelled ? ", cancelled" : ""));
        }

        IoBuffer.Segment buffer(String content) {
            return new IoBuffer.Segment(FileOwnerContract.this.buffer(content).memory(), this);
        }

        void assertHeard(String... calls) {
            world.await(() -> heard.size() >= calls.length);
            world.settle();
            assertThat(heard).containsExactly(calls);
        }
    }

    private final Counter owner = new Counter();

    // ------------------------------------------------------------------------------------------- an owner of memory

    @Test
    void anOwnerHearsOfAnOperationThatSucceeds() {
        UringFile file = fileWith("abc");
        IoBuffer buffer = owner.buffer("...");
        owner.assertHeard();
        assertThat(read(file, buffer, 0)).isEqualTo(3);
        owner.assertHeard("begin", "end");
        assertThat(write(file, buffer.slice(1, 2), 0)).as("of a part too").isEqualTo(2);
        owner.assertHeard("begin", "end", "begin", "end");
        assertThat(owner.ends).containsExactly("3 bytes: 3", "2 bytes: 2");
    }

    @Test
    void anOwnerHearsHowMuchWasDone() {
        UringFile file = fileWith("abc");
        assertThat(read(file, owner.buffer("....."), 1)).isEqualTo(2);
        assertThat(owner.ends).containsExactly("5 bytes: 2");
    }

    @Test
    void ownersOfPiecesHearWhatWasDoneToEach() {
        UringFile file = fileWith("abc");
        assertThat(world.get(file.readv(List.of(owner.buffer(".."), owner.buffer(".."), owner.buffer(".")), 0))).isEqualTo(3);
        owner.assertHeard("begin", "begin", "begin", "end", "end", "end");
        assertThat(owner.ends).containsExactly("2 bytes: 2", "2 bytes: 1", "1 bytes: 0");
    }

    @Test
    void anOwnerHearsOfAnOperationThatFails() {
        UringFile file = open(world.directory());
        assertRefused(Errno.EISDIR, file.read(owner.buffer("..."), 0));
        owner.assertHeard("begin", "end");
        assertThat(owner.ends).containsExactly("3 bytes: EISDIR");
    }

    @Test
    void anOwnerHearsTheEndBeforeTheSubscriberDoes() {
        UringFile file = fileWith("abc");
        world.get(file.read(owner.buffer("..."), 0).doOnNext(n -> owner.heard.add("value")));
        owner.assertHeard("begin", "end", "value");
    }

    @Test
    void anOwnerWhoRefusesHearsNothingMore() {
        UringFile file = fileWith("abc");
        owner.refusal = new IllegalStateException("the memory is gone");
        assertThatThrownBy(() -> world.get(file.write(owner.buffer("xyz"), 0))).isSameAs(owner.refusal);
        owner.assertHeard("begin");
        assertThat(content(file)).as("nothing was staged").isEqualTo("abc");
        world.get(file.close());                                       // which waits for all that is under way
    }

    @Test
    void anOwnerDoesNotHearOfAFileThatIsClosed() {
        UringFile file = fileWith("abc");
        world.get(file.close());
        assertThatThrownBy(() -> world.get(file.read(owner.buffer("..."), 0))).isInstanceOf(IllegalStateException.class);
        owner.assertHeard();
    }

    @Test
    void anOwnerDoesNotHearOfWhatIsCancelledBeforeItIsRequested() {
        UringFile file = fileWith("abc");
        Signals<Integer> read = subscribe(file.read(owner.buffer("..."), 0), 0);
        read.cancel();
        read.request(1);
        onLoop(() -> {});
        owner.assertHeard();
    }

    @Test
    void anOwnerHearsOfACancelledOperationWhenTheKernelIsDoneWithIt() {
        UringFile pipe = openPipe();
        Signals<Integer> read = subscribe(pipe.read(owner.buffer("."), 0));
        owner.assertHeard("begin");
        read.cancel();
        owner.assertHeard("begin", "end");
        assertThat(owner.ends).containsExactly("1 bytes: ECANCELED, cancelled");
        assertThat(read.heard).isEmpty();
    }

    @Test
    void anOwnerHearsOfWhatEndsWithTheLoop() {
        UringFile pipe = openPipe();
        Signals<Integer> read = subscribe(pipe.read(owner.buffer("."), 0));
        owner.assertHeard("begin");
        world.get(loop.disposeGracefully());
        owner.assertHeard("begin", "end");
        assertThat(read.heard).singleElement().isInstanceOf(RejectedExecutionException.class);
    }

    @Test
    void anOwnerOfMemoryThatIsNoLongerThereHearsOfBoth() {
        UringFile file = fileWith("abc");
        AtomicReference<IoBuffer> buffer = new AtomicReference<>();
        try (Arena closed = Arena.ofShared()) {
            MemorySegment memory = kernel().allocate(3, closed);
            buffer.set(new IoBuffer.Segment(memory, owner));
        }
        assertThatThrownBy(() -> world.get(file.read(buffer.get(), 0))).isInstanceOf(IllegalStateException.class);
        owner.assertHeard("begin", "end");
    }

    // ------------------------------------------------------------------------------------------- registered memory

    @Test
    void memoryThatIsRegisteredWithAnotherRingIsRefusedBeforeItIsStaged() {
        UringFile file = fileWith("abc");
        EventLoop other = start(spy.kernel());
        IoBuffer.Fixed known = world.get(Mono.fromCallable(() -> {
            other.ring().registerBuffers(1);
            return other.ring().updateBuffer(0, memory(4096));
        }).subscribeOn(other));
        IoBuffer.Fixed foreign = new IoBuffer.Fixed(known.ring(), known.index(), known.address(), 3, owner);
        assertThatThrownBy(() -> world.get(file.write(foreign, 0))).isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("another loop's ring");
        owner.assertHeard("begin", "end");
        assertThat(content(file)).isEqualTo("abc");
        world.get(file.close());
    }

    // ------------------------------------------------------------------------------------------- borrowed descriptors

    @Test
    void closingABorrowedFileLeavesItsDescriptorOpen() {
        Path path = world.file(bytes("abc"));
        int fd = kernel().open(path.toString(), linux_h.O_RDWR(), 0);
        long descriptors = world.descriptors();
        UringFile first = UringFile.borrow(loop, path, fd);
        assertThat(write(first, buffer("x"), 0)).isEqualTo(1);
        world.get(first.close());
        assertThat(world.descriptors()).isEqualTo(descriptors);
        assertThatThrownBy(() -> read(first, buffer(1), 0)).isInstanceOf(IllegalStateException.class);
        UringFile second = UringFile.borrow(loop, path, fd);
        IoBuffer.Segment buffer = buffer(3);
        assertThat(read(second, buffer, 0)).isEqualTo(3);
        assertThat(text(buffer)).isEqualTo("xbc");
        world.get(second.close());
        kernel().close(fd);
    }

    @Test
    void closingABorrowedFileWaitsForWhatIsUnderWay() {
        UringFile pipe = openPipe();
        UringFile borrowed = UringFile.borrow(loop, pipe.path(), pipe.fd());
        List<String> order = Collections.synchronizedList(new ArrayList<>());
        borrowed.read(buffer(1), 0).subscribe(n -> order.add("read " + n));
        borrowed.close().subscribe(nothing -> {}, e -> order.add("failed"), () -> order.add("closed"));
        onLoop(() -> {});
        world.settle();
        assertThat(order).isEmpty();
        write(pipe, buffer("x"), 0);
        world.await(() -> order.size() == 2);
        assertThat(order).containsExactly("read 1", "closed");
    }

    @Test
    void aBorrowedFileThatIsClosedAfterItsLoopGivesItsMemoryBackAndNoMore() {
        UringFile pipe = openPipe();
        UringFile borrowed = UringFile.borrow(loop, pipe.path(), pipe.fd());
        assertThat(world.get(borrowed.writev(List.of(buffer("x")), 0))).isEqualTo(1);
        world.get(loop.disposeGracefully());
        long descriptors = world.descriptors();
        long mapped = spy.memoryStillMapped();
        world.get(borrowed.close());
        assertThat(world.descriptors()).isEqualTo(descriptors);
        assertThat(spy.memoryStillMapped()).as("the list of pieces").isEqualTo(mapped - 1);
    }
}
