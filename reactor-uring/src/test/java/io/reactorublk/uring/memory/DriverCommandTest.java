package io.reactorublk.uring.memory;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.uring.BufferRing;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.IoBuffer;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.Ring;
import io.reactorublk.uring.RingConfig;
import io.reactorublk.uring.Sqe;
import io.reactorublk.uring.abi.linux_h;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
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

    /** Keeps its commands. */
    private final class Keeper implements CharacterDevice.OpenFile {

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

    @Test
    void pagesOfTheDriversCanBeReadAndWrittenThroughTheTableOfBuffers() {
        MemorySegment pages = MemorySegment.ofArray(new byte[4096]);
        MemoryFile disk = kernel.file("/disk", "content".getBytes(java.nio.charset.StandardCharsets.US_ASCII));
        int file = kernel.open("/disk", linux_h.O_RDWR(), 0);
        ring.registerBuffers(2);
        stage().command(fd, 1);
        turn();
        CharacterDevice.Command command = commands.getFirst();
        assertThat(command.registerBuffer(1, pages, () -> events.add("given back"))).isZero();
        assertThat(command.registerBuffer(1, pages, () -> {})).isEqualTo(Errno.EBUSY.result());
        assertThat(command.registerBuffer(2, pages, () -> {})).isEqualTo(Errno.EINVAL.result());
        stage().read(file, new IoBuffer.Fixed(ring, 1, 10, 7), 0);
        turn();
        assertThat(pages.get(JAVA_BYTE, 10)).isEqualTo((byte) 'c');
        stage().write(file, new IoBuffer.Fixed(ring, 1, 10, 4), 3);
        turn();
        assertThat(disk.content()).asString().isEqualTo("concont");
        assertThat(command.unregisterBuffer(1)).isZero();
        assertThat(events).containsExactly("7", "4", "given back");
    }

    @Test
    void aMappingIsTheDrivers() {
        MemorySegment memory = kernel.mmap(fd, 4096, 100, linux_h.PROT_READ(), linux_h.MAP_SHARED(), arena);
        assertThat(memory.get(JAVA_LONG, 0)).isEqualTo(4096);
    }
}
