package io.reactorublk;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.reactorublk.uring.Errno;
import io.reactorublk.uring.EventLoop;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.RingConfig;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import reactor.core.publisher.Mono;

/** Applications that share memory with a server, in every mode that the rest of their requests may have. */
abstract class SharedMemoryContract extends DataModeHarness {

    private static final int SHARED_BYTES = 1 << 20;

    private final AtomicInteger shared = new AtomicInteger();
    private final AtomicInteger others = new AtomicInteger();
    private final List<SharedMemory> memories = new ArrayList<>();
    private EventLoop controlLoop;

    /** Who shares memory and is no server. */
    @BeforeEach
    final void startControlLoop() {
        controlLoop = EventLoop.start(fixture.kernel(), "control", new RingConfig(8, 16, true));
    }

    @AfterEach
    final void closeMemories() {
        disposeDevices();
        fixture.get(controlLoop.disposeGracefully());
        memories.forEach(SharedMemory::close);
    }

    private SharedMemory create() {
        SharedMemory memory = SharedMemory.create(fixture.kernel(), fixture.sharedPath(), SHARED_BYTES);
        memories.add(memory);
        return memory;
    }

    /** What an application does. */
    private SharedMemory open(Path path) {
        SharedMemory memory = SharedMemory.open(fixture.kernel(), path);
        memories.add(memory);
        return memory;
    }

    /** Keeps bytes in a file, and counts where they come from. */
    private BlockTarget counting() {
        return target(area(), (file, request) -> {
            if (!request.operation().hasData()) return Mono.just(request.complete());
            (request.isShared() ? shared : others).incrementAndGet();
            return request.transfer(file, place(request));
        });
    }

    private UblkDevice sharing(DataMode mode, BlockTarget target) {
        return start(server(mode, target).sharedMemory());
    }

    private void read(Disk disk, MemorySegment into) {
        fixture.get(disk.read(QUIET, into));
    }

    private void write(Disk disk, MemorySegment from) {
        fixture.get(disk.write(QUIET, from));
    }

    private KernelException refusalOf(Mono<?> command) {
        KernelException refusal = catchThrowableOfType(KernelException.class, () -> fixture.get(command));
        assertThat(refusal).as("refusal").isNotNull();
        return refusal;
    }

    // ------------------------------------------------------------------------------------------- requests

    @ParameterizedTest
    @EnumSource
    void whatIsInSharedMemoryIsNotCopied(DataMode mode) {
        UblkDevice device = sharing(mode, counting());
        SharedMemory memory = create();
        fixture.get(device.share(memory));
        SharedMemory clients = open(memory.path());
        Disk disk = disk(device);
        MemorySegment written = clients.allocate(MAX_IO).copyFrom(MemorySegment.ofArray(pattern(MAX_IO, 1)));
        MemorySegment read = clients.allocate(MAX_IO);
        write(disk, written);
        read(disk, read);
        assertThat(read.mismatch(written)).isEqualTo(-1);
        assertThat(shared.get()).isEqualTo(2);
        assertThat(others.get()).isZero();

        MemorySegment mine = memory(MAX_IO);
        read(disk, mine);
        assertThat(mine.mismatch(written)).isEqualTo(-1);
        assertThat(others.get()).as("requests from other memory").isEqualTo(1);

        fixture.get(device.unshare(memory));
        read(disk, read.fill((byte) 0));
        assertThat(read.mismatch(written)).isEqualTo(-1);
        assertThat(shared.get()).as("after it was taken back").isEqualTo(2);
    }

    @ParameterizedTest
    @EnumSource(names = {"COPY", "ZERO_COPY"})
    void aServerSeesTheBytesThemselves(DataMode mode) {
        HeldRequests held = new HeldRequests();
        UblkDevice device = sharing(mode, queue -> queue.answer(held::hold));
        SharedMemory memory = create();
        fixture.get(device.share(memory));
        MemorySegment piece = memory.allocate(BLOCK);
        CompletableFuture<Void> write = disk(device).write(QUIET, piece);
        fixture.await(() -> held.size() == 1);
        MemorySegment seen = held.requests().getFirst().data();
        piece.set(JAVA_BYTE, 7, (byte) 42);
        assertThat(seen.get(JAVA_BYTE, 7)).as("what the application changes meanwhile").isEqualTo((byte) 42);
        held.answerLastFirst();
        fixture.get(write);
    }

    @Test
    void aLongReadIsSharedInAllItsParts() {
        UblkDevice device = sharing(DataMode.COPY, counting());
        SharedMemory memory = create();
        SharedMemory second = create();
        fixture.get(device.share(second));
        fixture.get(device.share(memory));
        Disk disk = disk(device);
        second.allocate(BLOCK);
        MemorySegment written = second.allocate(4 * MAX_IO).copyFrom(MemorySegment.ofArray(pattern(4 * MAX_IO, 2)));
        MemorySegment read = memory.allocate(4 * MAX_IO);
        write(disk, written);
        read(disk, read);
        assertThat(read.mismatch(written)).isEqualTo(-1);
        assertThat(shared.get()).isEqualTo(8);
    }

    /** The driver would say that all was done. */
    @ParameterizedTest
    @EnumSource(names = {"COPY", "LATE_ZERO_COPY"})
    void anAnswerThatIsTooShortFails(DataMode mode) {
        UblkDevice device = sharing(mode, target(request -> Mono.just(request.complete(BLOCK))));
        SharedMemory memory = create();
        fixture.get(device.share(memory));
        Disk disk = disk(device);
        assertThat(failureOf(disk.read(QUIET, memory.allocate(2 * BLOCK)))).isEqualTo(Errno.EIO);
        assertThat(failureOf(disk.write(QUIET, memory.allocate(2 * BLOCK)))).isEqualTo(Errno.EIO);
        fixture.get(disk.write(QUIET, memory.allocate(BLOCK)));
        fixture.get(disk.write(QUIET, new byte[2 * BLOCK]));
    }

    @Test
    void memoryThatIsClosedWhileItIsSharedFailsTheRequestsInIt() {
        UblkDevice device = sharing(DataMode.COPY, counting());
        SharedMemory memory = create();
        fixture.get(device.share(memory));
        Disk disk = disk(device);
        MemorySegment piece = open(memory.path()).allocate(BLOCK);
        memory.close();
        memories.remove(memory);
        assertThat(failureOf(disk.read(QUIET, piece))).isEqualTo(Errno.EIO);
        assertThat(read(disk, QUIET, BLOCK)).as("from elsewhere").isEqualTo(new byte[BLOCK]);
        fixture.get(device.unshare(memory));
        read(disk, piece);
        log.takeErrors();
    }

    // ------------------------------------------------------------------------------------------- sharing

    @Test
    void unsharingWaitsForTheRequestsUnderWay() {
        HeldRequests held = new HeldRequests();
        UblkDevice device = sharing(DataMode.COPY, queue -> queue.answer(held::hold));
        SharedMemory memory = create();
        fixture.get(device.share(memory));
        Disk disk = disk(device);
        CompletableFuture<Void> before = disk.read(place(1), memory.allocate(BLOCK));
        fixture.await(() -> held.size() == 1);
        CompletableFuture<Void> unshared = device.unshare(memory).toFuture();
        List<CompletableFuture<Void>> reads = new ArrayList<>(List.of(before));
        fixture.await(() -> {                                          // what comes meanwhile waits, once the kernel has begun
            int underWay = held.size();
            reads.add(disk.read(place(2), memory.allocate(BLOCK)));
            fixture.settle();
            return held.size() == underWay;
        });
        assertThat(unshared).isNotDone();
        held.answerLastFirst();
        fixture.get(unshared);
        fixture.await(() -> held.size() == 1);
        assertThat(held.requests().getFirst().isShared()).isFalse();
        held.answerLastFirst();
        reads.forEach(fixture::get);
    }

    @Test
    void memoryIsSharedOnce() {
        UblkDevice device = sharing(DataMode.COPY, counting());
        SharedMemory memory = create();
        fixture.get(device.share(memory));
        assertThat(refusalOf(device.share(memory)).errno()).isEqualTo(Errno.EEXIST);
        assertThat(refusalOf(device.share(open(memory.path()))).errno()).as("the same pages").isEqualTo(Errno.EEXIST);
        read(disk(device), memory.allocate(BLOCK));
        assertThat(shared.get()).isEqualTo(1);
        fixture.get(device.unshare(memory));
        fixture.get(device.share(memory));
    }

    @Test
    void aDeviceThatWasNotMadeForItRefuses() {
        UblkDevice device = start(server(counting()));
        SharedMemory memory = create();
        assertThat(refusalOf(device.share(memory))).hasMessageContaining("sharedMemory()");
        assertThatThrownBy(() -> fixture.get(device.unshare(memory))).isInstanceOf(IllegalArgumentException.class);
    }

    // ------------------------------------------------------------------------------------------- by others

    /** What a server leaves behind that dies: the driver holds its memory, and knows it by a number that nobody else does. */
    private void shareForNobody(int id, SharedMemory memory) {
        ControlDevice control = fixture.get(Mono.fromSupplier(
                () -> new ControlDevice(controlLoop, Duration.ofSeconds(20), ControlListener.NONE)).subscribeOn(controlLoop));
        assertThat(fixture.get(control.register(id, memory.memory()))).isZero();
        control.close();
    }

    @Test
    void memoryThatNobodyHereHasSharedIsTakenBack() {
        UblkDevice device = sharing(DataMode.COPY, counting());
        SharedMemory memory = create();
        shareForNobody(device.id(), memory);
        Disk disk = disk(device);
        MemorySegment piece = memory.allocate(BLOCK);
        assertThat(failureOf(disk.write(QUIET, piece))).isEqualTo(Errno.EIO);
        fixture.await(() -> {
            try {
                write(disk, piece);
                return true;
            } catch (Disk.Failure e) {
                return false;
            }
        });
        assertThat(shared.get()).isZero();
        fixture.get(device.share(memory));
        read(disk, piece);
        assertThat(shared.get()).isEqualTo(1);
    }

    @Test
    void aHandOverTakesBackWhatIsShared() {
        BlockTarget target = counting();
        UblkServer server = server(DataMode.COPY, target).sharedMemory().recovery(Recovery.REISSUE);
        UblkDevice device = start(server);
        SharedMemory memory = create();
        fixture.get(device.share(memory));
        Disk disk = disk(device);
        MemorySegment piece = memory.allocate(BLOCK);
        write(disk, piece);
        fixture.get(device.handOver());
        CompletableFuture<Void> meanwhile = disk.read(QUIET, piece);
        UblkDevice next = recover(server, device.id());
        fixture.get(meanwhile);
        assertThat(others.get()).isEqualTo(1);
        fixture.get(next.share(memory));
        read(disk, piece);
        assertThat(shared.get()).isEqualTo(2);
    }

    /** Nothing reads meanwhile, such as the search for partitions: to share waits for it, and it waits for a server. */
    @Test
    void whatADeadServerSharedIsTakenBackByTheNext() {
        BlockTarget target = counting();
        UblkServer server = server(DataMode.COPY, target).sharedMemory().recovery(Recovery.REISSUE).withoutPartitionScan();
        UblkDevice device = start(server);
        SharedMemory memory = create();
        fixture.get(device.handOver());
        shareForNobody(device.id(), memory);
        recover(server, device.id());
        read(disk(device), memory.allocate(BLOCK));
        assertThat(others.get()).isEqualTo(1);
        assertThat(shared.get()).isZero();
    }

    // ------------------------------------------------------------------------------------------- the memory

    @Test
    void isMadeOnceAndOpenedByItsPath() {
        SharedMemory memory = create();
        assertThatThrownBy(() -> SharedMemory.create(fixture.kernel(), memory.path(), SHARED_BYTES))
                .isInstanceOf(KernelException.class).hasMessageContaining("EEXIST");
        assertThatThrownBy(() -> SharedMemory.open(fixture.kernel(), fixture.sharedPath()))
                .isInstanceOf(KernelException.class).hasMessageContaining("ENOENT");
        SharedMemory other = open(memory.path());
        assertThat(other.memory().byteSize()).isEqualTo(SHARED_BYTES);
        memory.allocate(BLOCK).fill((byte) 42);
        assertThat(other.memory().get(JAVA_BYTE, 0)).isEqualTo((byte) 42);
    }

    @Test
    void cannotBeUsedWhenItIsClosed() {
        SharedMemory memory = create();
        memory.close();
        memories.remove(memory);
        assertThatThrownBy(memory::memory).isInstanceOf(IllegalStateException.class).hasMessageContaining("is closed");
        assertThatThrownBy(() -> memory.allocate(1)).isInstanceOf(IllegalStateException.class);
        assertThat(open(memory.path()).memory().byteSize()).as("the file stays").isEqualTo(SHARED_BYTES);
    }
}
