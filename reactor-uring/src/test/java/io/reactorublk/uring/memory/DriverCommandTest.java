package io.reactorublk.uring.memory;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.reactorublk.uring.BufferRing;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.IoBuffer;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.Ring;
import io.reactorublk.uring.RingConfig;
import io.reactorublk.uring.Sqe;
import io.reactorublk.uring.abi.linux_h;
import io.reactorublk.uring.memory.CharacterDevice.Direction;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What a driver that is plugged in can rely on. */
class DriverCommandTest {

    private static final int GROUP = 1;

    private final MemoryKernel kernel = MemoryKernel.create();
    private final Arena arena = Arena.ofShared();
    private final List<CharacterDevice.Command> commands = new ArrayList<>();
    private final List<String> events = new ArrayList<>();
    private final Ring ring = Ring.open(kernel, new RingConfig(8, 8, true));
    private int fd;

    /** Keeps its commands, and six bytes. */
    private final class Keeper implements CharacterDevice.OpenFile {

        private final MemorySegment content = pages("......");

        @Override
        public MemorySegment mmap(long offset, long length, Arena mapped) {
            MemorySegment memory = kernel.allocate(length, mapped);
            memory.set(JAVA_LONG, 0, offset);
            return memory;
        }

        @Override
        public void command(CharacterDevice.Command command) {
            if (command.operation() == 0) throw new KernelException("command", Errno.ENOTTY);
            commands.add(command);
        }

        @Override
        public int read(List<MemorySegment> into, long offset) {
            into.getFirst().copyFrom(content.asSlice(offset, into.getFirst().byteSize()));
            return (int) into.getFirst().byteSize();
        }

        @Override
        public int write(List<MemorySegment> from, long offset) {
            content.asSlice(offset).copyFrom(from.getFirst());
            return (int) from.getFirst().byteSize();
        }

        @Override
        public void release() {
            events.add("released");
        }
    }

    @BeforeEach
    void open() {
        kernel.device("/dev/keeper", opener -> new Keeper());
        fd = kernel.open("/dev/keeper", linux_h.O_RDWR(), 0);
        ring.enable();
    }

    @AfterEach
    void close() {
        ring.close();
        arena.close();
    }

    private Sqe stage() {
        return ring.stage((result, flags) -> events.add("" + result + ((flags & 2) != 0 ? " more" : "")));
    }

    private void turn() {
        ring.enter(false, Ring.FOREVER);
        ring.reap();
    }

    @Test
    void aCommandIsSeenAsItWasWrittenAndCompletesWhenTheDriverSaysSo() {
        MemorySegment memory = kernel.allocate(8, arena);
        memory.set(JAVA_LONG, 0, 42);
        Sqe sqe = stage().command(fd, 7).commandMemory(memory);
        sqe.payload(80).set(JAVA_LONG, 72, 99);
        turn();
        CharacterDevice.Command command = commands.getFirst();
        assertThat(command.operation()).isEqualTo(7);
        assertThat(command.payload().byteSize()).isEqualTo(80);
        assertThat(command.payload().get(JAVA_LONG, 72)).isEqualTo(99);
        assertThat(command.memory(command.address(), command.length()).get(JAVA_LONG, 0)).isEqualTo(42);
        turn();
        assertThat(events).isEmpty();
        command.complete(5);
        assertThat(events).isEmpty();
        turn();
        assertThat(events).containsExactly("5");
    }

    @Test
    void aRefusalIsAResult() {
        stage().command(fd, 0);
        turn();
        assertThat(events).containsExactly("" + Errno.ENOTTY.result());
    }

    @Test
    void aMultishotCommandTakesFromTheMemoryThatIsLent() {
        MemorySegment memory = kernel.allocate(64, arena);
        try (BufferRing lent = new BufferRing(ring, GROUP, 4, true)) {
            stage().command(fd, 1).commandMultishot(GROUP);
            turn();
            CharacterDevice.Command command = commands.getFirst();
            assertThat(command.isMultishot()).isTrue();
            assertThat(command.selectBuffer()).isNull();
            lent.offer(memory.address(), 8, 0);
            lent.publish();
            command.inTaskWork(() -> {
                MemorySegment selected = command.selectBuffer();
                assertThat(selected.byteSize()).isEqualTo(8);
                selected.set(JAVA_BYTE, 0, (byte) 1);
                assertThat(command.post(3)).isTrue();
                assertThat(command.selectBuffer().byteSize()).isEqualTo(5);
                assertThat(command.selectBuffer().address()).isEqualTo(memory.address() + 3);
            });
            assertThat(memory.get(JAVA_BYTE, 0)).as("not before the ring is entered").isZero();
            turn();
            assertThat(memory.get(JAVA_BYTE, 0)).isEqualTo((byte) 1);
            assertThat(events).containsExactly("3 more");
            command.complete(Errno.ENOBUFS.result());
            turn();
            assertThat(events).containsExactly("3 more", "" + Errno.ENOBUFS.result());
        }
    }

    @Test
    void whereTheCompletionQueueIsFullTheBytesAreGoneAllTheSame() {
        MemorySegment memory = kernel.allocate(64, arena);
        try (BufferRing lent = new BufferRing(ring, GROUP, 4, true)) {
            lent.offer(memory.address(), 64, 0);
            lent.publish();
            stage().command(fd, 1).commandMultishot(GROUP);
            turn();
            CharacterDevice.Command command = commands.getFirst();
            command.inTaskWork(() -> {
                for (int i = 0; i < 8; i++) assertThat(command.post(1)).isTrue();
                assertThat(command.post(1)).isFalse();
                assertThat(command.selectBuffer().byteSize()).isEqualTo(64 - 9);
            });
            turn();
            assertThat(events).hasSize(8);
        }
    }

    @Test
    void onlyTheEndOfTheRingCancelsACommand() {
        long id = stage().command(fd, 1).id();
        ring.park(id);
        turn();
        commands.getFirst().onCancel(() -> events.add("cancelled"));
        ring.cancel(id);
        turn();
        assertThat(events).isEmpty();
        kernel.close(fd);
        assertThat(events).as("in flight").isEmpty();
        ring.close();
        assertThat(events).containsExactly("cancelled", "released");
    }

    @Test
    void whatMayBlockRunsLater() {
        stage().command(fd, 1);
        turn();
        commands.getFirst().later(() -> commands.getFirst().complete(0));
        turn();
        assertThat(events).isEmpty();
        kernel.settle();
        turn();
        assertThat(events).containsExactly("0");
    }

    private CharacterDevice.Command command() {
        stage().command(fd, 1);
        turn();
        return commands.getLast();
    }

    private int openDisk(String content) {
        kernel.file("/disk", content.getBytes(US_ASCII));
        return kernel.open("/disk", linux_h.O_RDWR(), 0);
    }

    private static MemorySegment pages(String content) {
        return MemorySegment.ofArray(content.getBytes(US_ASCII));
    }

    private static String text(MemorySegment pages) {
        return new String(pages.toArray(JAVA_BYTE), US_ASCII);
    }

    @Test
    void aFileIsReadIntoPagesOfTheDriver() {
        int file = openDisk("content");
        MemorySegment pages = pages("..........");
        ring.registerBuffers(2);
        assertThat(command().registerBuffer(1, pages, Direction.DESTINATION, () -> {})).isZero();
        stage().read(file, new IoBuffer.Fixed(ring, 1, 2, 7), 0);
        turn();
        assertThat(text(pages)).isEqualTo("..content.");
    }

    @Test
    void pagesOfTheDriverAreWrittenToAFile() {
        int file = openDisk("content");
        ring.registerBuffers(2);
        assertThat(command().registerBuffer(1, pages("pages"), Direction.SOURCE, () -> {})).isZero();
        stage().write(file, new IoBuffer.Fixed(ring, 1, 1, 4), 3);
        turn();
        assertThat(kernel.file("/disk").content()).asString().isEqualTo("conages");
    }

    @Test
    void pagesOfTheDriverHaveOneDirectionAndAnEnd() {
        int file = openDisk("content");
        ring.registerBuffers(2);
        command().registerBuffer(0, pages("abc"), Direction.SOURCE, () -> {});
        command().registerBuffer(1, pages("abc"), Direction.DESTINATION, () -> {});
        stage().read(file, new IoBuffer.Fixed(ring, 0, 0, 1), 0);
        stage().write(file, new IoBuffer.Fixed(ring, 1, 0, 1), 0);
        stage().write(file, new IoBuffer.Fixed(ring, 0, 1, 3), 0);
        turn();
        assertThat(events).containsOnly("" + Errno.EFAULT.result()).hasSize(3);
        assertThat(kernel.file("/disk").content()).asString().isEqualTo("content");
    }

    @Test
    void noAddressOfTheProcessLeadsToPagesOfTheDriver() {
        MemorySegment pages = pages("abc");
        ring.registerBuffers(1);
        command().registerBuffer(0, pages, Direction.SOURCE, () -> {});
        assertThatThrownBy(() -> kernel.memory(pages.address(), 1)).isInstanceOf(KernelException.class);
    }

    @Test
    void aPlaceIsTakenOnceAndGivenBackAfterTheLastOperation() {
        kernel.file("/disk", "content".getBytes(US_ASCII)).latency(Duration.ofMillis(1));
        int file = kernel.open("/disk", linux_h.O_RDWR(), 0);
        ring.registerBuffers(2);
        CharacterDevice.Command command = command();
        MemorySegment pages = pages(".......");
        assertThat(command.registerBuffer(1, pages, Direction.DESTINATION, () -> events.add("given back"))).isZero();
        assertThat(command.registerBuffer(1, pages, Direction.DESTINATION, () -> {})).isEqualTo(Errno.EBUSY.result());
        assertThat(command.registerBuffer(2, pages, Direction.DESTINATION, () -> {})).isEqualTo(Errno.EINVAL.result());
        stage().read(file, new IoBuffer.Fixed(ring, 1, 0, 7), 0);
        turn();
        assertThat(command.unregisterBuffer(1)).isZero();
        assertThat(command.unregisterBuffer(1)).as("it is empty").isEqualTo(Errno.EINVAL.result());
        assertThat(command.unregisterBuffer(2)).isEqualTo(Errno.EINVAL.result());
        assertThat(events).as("the read goes on").isEmpty();
        kernel.advanceTime(Duration.ofMillis(1));
        turn();
        assertThat(events).containsExactly("given back", "7");
        assertThat(text(pages)).isEqualTo("content");
    }

    @Test
    void memoryOfTheProcessIsNotTheDriversToTakeOut() {
        ring.registerBuffers(1);
        ring.updateBuffer(0, kernel.allocate(8, arena));
        assertThat(command().unregisterBuffer(0)).isEqualTo(Errno.EBUSY.result());
    }

    @Test
    void aRingThatEndsGivesPagesBack() {
        ring.registerBuffers(1);
        command().registerBuffer(0, pages("abc"), Direction.SOURCE, () -> events.add("given back"));
        commands.getLast().onCancel(() -> {});
        ring.close();
        assertThat(events).contains("given back");
    }

    @Test
    void aCommandKnowsItsRing() {
        CharacterDevice.Command first = command();
        assertThat(command().ring()).isEqualTo(first.ring());
        try (Ring other = Ring.open(kernel, new RingConfig(8, 8, true))) {
            other.enable();
            other.stage((result, flags) -> {}).command(fd, 1);
            other.enter(false, Ring.FOREVER);
            assertThat(commands.getLast().ring()).isNotEqualTo(first.ring());
            commands.getLast().onCancel(() -> {});
        }
    }

    @Test
    void aDeviceIsReadAndWrittenAsItsDriverSays() {
        MemorySegment memory = kernel.allocate(6, arena);
        memory.copyFrom(pages("abcdef"));
        stage().write(fd, new IoBuffer.Segment(memory.asSlice(1, 3)), 1);
        turn();
        stage().read(fd, new IoBuffer.Segment(memory), 0);
        turn();
        assertThat(events).containsExactly("3", "6");
        assertThat(text(memory)).isEqualTo(".bcd..");
    }

    @Test
    void registeredMemoryIsNotReadFromADevice() {
        ring.registerBuffers(1);
        stage().read(fd, ring.updateBuffer(0, kernel.allocate(8, arena)), 0);
        turn();
        assertThat(events).containsExactly("" + Errno.EACCES.result());
    }

    @Test
    void aMappingIsTheDrivers() {
        MemorySegment memory = kernel.mmap(fd, 4096, 100, linux_h.PROT_READ(), linux_h.MAP_SHARED(), arena);
        assertThat(memory.get(JAVA_LONG, 0)).isEqualTo(4096);
    }
}
