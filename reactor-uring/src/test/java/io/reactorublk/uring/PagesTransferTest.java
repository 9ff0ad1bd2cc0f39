package io.reactorublk.uring;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.nio.charset.StandardCharsets.US_ASCII;
import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.WRITE;
import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.uring.abi.linux_h;
import io.reactorublk.uring.memory.CharacterDevice;
import io.reactorublk.uring.memory.MemoryFile;
import io.reactorublk.uring.memory.MemoryKernel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;

/** A driver's pages to and from a file, in a kernel in memory: what becomes of them, of their place, and of their owner. */
class PagesTransferTest {

    private static final int REGISTER = 1;
    private static final int UNREGISTER = 2;
    private static final int SPARE = 2;
    private static final Duration LATENCY = Duration.ofMillis(1);

    private final MemoryKernel kernel = MemoryKernel.create();
    private final MemoryFile disk = kernel.file("/disk", "content".getBytes(US_ASCII));
    private final MemorySegment pages = MemorySegment.ofArray(".......".getBytes(US_ASCII));
    private final List<String> events = new ArrayList<>();
    private final EventLoop loop = EventLoop.start(kernel, "loop-under-test", new RingConfig(8, 64, false));
    private final Owner owner = new Owner();
    private int refusal;
    private int fd;
    private UringFile file;

    /** Lets its pages be registered, unless it refuses. */
    private final class Driver implements CharacterDevice.OpenFile {

        @Override
        public MemorySegment mmap(long offset, long length, Arena arena) {
            throw new KernelException("mmap", Errno.ENODEV);
        }

        @Override
        public void command(CharacterDevice.Command command) {
            int index = (int) command.payload().get(JAVA_LONG, 0);
            if (command.operation() == UNREGISTER) {
                events.add("unregister");
                command.complete(command.unregisterBuffer(index));
            } else if (refusal != 0) {
                events.add("refuse");
                command.complete(refusal);
            } else {
                events.add("register");
                command.complete(command.registerBuffer(
                        index, pages, CharacterDevice.Direction.DESTINATION, () -> events.add("released")));
            }
        }

        @Override
        public void release() {}
    }

    private final class Owner implements IoBuffer.Registrar {

        @Override
        public void begin() {
            events.add("begin");
        }

        @Override
        public void end(IoBuffer part, int result, boolean cancelled) {
            events.add("end");
        }

        @Override
        public void register(Sqe sqe, int index) {
            sqe.command(fd, REGISTER).payload(Long.BYTES).set(JAVA_LONG, 0, index);
        }

        @Override
        public void unregister(Sqe sqe, int index) {
            sqe.command(fd, UNREGISTER).payload(Long.BYTES).set(JAVA_LONG, 0, index);
        }
    }

    @BeforeEach
    void open() {
        kernel.device("/dev/driver", opener -> new Driver());
        fd = kernel.open("/dev/driver", linux_h.O_RDWR(), 0);
        loop.execute(() -> loop.ring().registerBuffers(0, SPARE));
        CompletableFuture<UringFile> opening = UringFile.open(loop, Path.of("/disk"), READ, WRITE).toFuture();
        kernel.settle();
        file = Objects.requireNonNull(opening.getNow(null));
    }

    @AfterEach
    void close() {
        file.close().subscribe();
        loop.disposeGracefully().subscribe();
        kernel.settle();
        kernel.close(fd);
        assertThat(kernel.openDescriptors()).as("descriptors left open").isZero();
    }

    private CompletableFuture<Integer> read(int from, int length) {
        return file.read(new IoBuffer.Pages(owner, from, length), from).toFuture();
    }

    private static void assertFailed(CompletableFuture<Integer> read, Errno errno) {
        assertThat(read).isCompletedExceptionally();
        assertThat(read.handle((n, e) -> e instanceof CompletionException wrapped ? wrapped.getCause() : e).join())
                .isInstanceOfSatisfying(KernelException.class, e -> assertThat(e.errno()).isEqualTo(errno));
    }

    /** More often than there are places. */
    private void assertPlacesAreFree() {
        events.clear();
        for (int i = 0; i < 2 * SPARE; i++) {
            CompletableFuture<Integer> first = read(0, 3);
            CompletableFuture<Integer> second = read(3, 4);
            finish();
            assertThat(first).isCompletedWithValue(3);
            assertThat(second).isCompletedWithValue(4);
        }
        assertThat(text()).isEqualTo("content");
        assertThat(events.stream().filter("released"::equals)).hasSize(4 * SPARE);
    }

    private void finish() {
        kernel.settle();
        kernel.advanceTime(LATENCY);
        kernel.settle();
    }

    private String text() {
        return new String(pages.toArray(JAVA_BYTE), US_ASCII);
    }

    @Test
    void pagesAreRegisteredReadIntoAndTakenOut() {
        CompletableFuture<Integer> read = read(2, 3);
        kernel.settle();
        assertThat(read).isCompletedWithValue(3);
        assertThat(text()).isEqualTo("..nte..");
        assertThat(events).containsExactlyInAnyOrder("begin", "register", "unregister", "released", "end")
                .startsWith("begin", "register");
        assertPlacesAreFree();
    }

    @Test
    void whatARegistrationIsRefusedWithIsWhatTheOperationHears() {
        refusal = Errno.EBUSY.result();
        CompletableFuture<Integer> read = read(0, 7);
        kernel.settle();
        assertFailed(read, Errno.EBUSY);
        assertThat(events).as("the others did not start").containsExactly("begin", "refuse", "end");
        assertThat(text()).isEqualTo(".......");
        refusal = 0;
        assertPlacesAreFree();
    }

    @Test
    void pagesAreTakenOutAfterATransferThatFails() {
        disk.fail(MemoryFile.Call.READ, Errno.EIO);
        CompletableFuture<Integer> read = read(0, 7);
        kernel.settle();
        assertFailed(read, Errno.EIO);
        assertThat(events).contains("unregister", "released", "end");
        assertPlacesAreFree();
    }

    @Test
    void pagesAreTakenOutAfterATransferThatIsShort() {
        disk.shorten(MemoryFile.Call.READ, 2);
        CompletableFuture<Integer> read = read(0, 7);
        kernel.settle();
        assertThat(read).isCompletedWithValue(2);
        assertThat(events).contains("unregister", "released", "end");
        assertPlacesAreFree();
    }

    private List<CompletableFuture<Integer>> fillAllPlaces() {
        disk.latency(LATENCY);
        List<CompletableFuture<Integer>> reads = new ArrayList<>();
        for (int i = 0; i < SPARE; i++) reads.add(read(i, 1));
        kernel.settle();
        events.clear();
        return reads;
    }

    @Test
    void whereNoPlaceIsFreeOperationsWaitInOrder() {
        List<CompletableFuture<Integer>> reads = fillAllPlaces();
        List<CompletableFuture<Integer>> late = List.of(read(2, 1), read(3, 1), read(4, 3));
        kernel.settle();
        assertThat(events).as("nothing asked of the kernel").containsExactly("begin", "begin", "begin");
        finish();
        assertThat(reads).allSatisfy(read -> assertThat(read).isCompletedWithValue(1));
        assertThat(late).noneMatch(CompletableFuture::isDone);
        finish();
        assertThat(late.subList(0, 2)).allSatisfy(read -> assertThat(read).isCompletedWithValue(1));
        assertThat(late.get(2)).isNotDone();
        finish();
        assertThat(late.get(2)).isCompletedWithValue(3);
        assertThat(text()).isEqualTo("content");
        assertPlacesAreFree();
    }

    @Test
    void whoIsCancelledWhileWaitingTakesNoPlace() {
        fillAllPlaces();
        Disposable cancelled = file.read(new IoBuffer.Pages(owner, 0, 7), 0).subscribe(n -> events.add("value"));
        CompletableFuture<Integer> next = read(3, 4);
        kernel.settle();
        cancelled.dispose();
        finish();
        finish();
        assertThat(next).isCompletedWithValue(4);
        assertThat(events).doesNotContain("value").filteredOn("begin"::equals).hasSize(2);
        assertThat(text()).isEqualTo("co.tent");
        assertPlacesAreFree();
    }

    @Test
    void theEndOfTheLoopIsTheEndOfWaiting() {
        fillAllPlaces();
        CompletableFuture<Integer> waiting = read(0, 7);
        kernel.settle();
        loop.dispose();
        finish();
        assertThat(waiting).isCompletedExceptionally();
        assertThat(events).filteredOn("begin"::equals).hasSize(1);
        assertThat(events).filteredOn("end"::equals).hasSize(1 + SPARE);
    }

    @Test
    void aTableWithoutSparePlacesRefusesAtOnce() {
        EventLoop other = EventLoop.start(kernel, "no-places", RingConfig.DEFAULT);
        other.execute(() -> other.ring().registerBuffers(1, 0));
        CompletableFuture<Integer> read = UringFile.open(other, Path.of("/disk"), READ)
                .flatMap(opened -> opened.read(new IoBuffer.Pages(owner, 0, 7), 0).doFinally(end -> opened.close().subscribe()))
                .toFuture();
        kernel.settle();
        assertFailed(read, Errno.ENOBUFS);
        assertThat(events).containsExactly("begin", "end");
        other.disposeGracefully().subscribe();
        kernel.settle();
    }

    @Test
    void pagesOfATransferThatIsCancelledAreTakenOutWhenItHasEnded() {
        disk.latency(LATENCY);
        Disposable read = file.read(new IoBuffer.Pages(owner, 0, 7), 0).subscribe(n -> events.add("value"));
        kernel.settle();
        assertThat(events).containsExactly("begin", "register");
        read.dispose();
        finish();
        assertThat(events).contains("unregister", "released").containsOnlyOnce("end").doesNotContain("value");
        assertPlacesAreFree();
    }
}
