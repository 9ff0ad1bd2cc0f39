package io.reactorublk.uring;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.reactorublk.uring.World.Pipe;
import io.reactorublk.uring.abi.linux_h;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;

/** Files and buffers registered with a ring. */
abstract class RegistrationContract extends RingHarness {

    private static void assertRefused(Errno errno, ThrowingCallable call) {
        assertThatThrownBy(call).isInstanceOf(KernelException.class)
                .satisfies(e -> assertThat(((KernelException) e).errno()).isEqualTo(errno));
    }

    private int open(Path path, int flags) {
        return kernel().open(path.toString(), flags, 0);
    }

    @Test
    void anEmptyPlaceInTheTableIsNoFile() {
        ring.registerFiles(4);
        stage("read").read(2, buffer(1), 0).fixedFile();
        awaitAll();
        assertThat(result("read")).isEqualTo(EBADF);
    }

    @Test
    void aRegisteredFileIsReadByItsIndex() {
        int fd = open(world.file(bytes("content")), linux_h.O_RDONLY());
        ring.registerFiles(4);
        ring.updateFile(2, fd);
        IoBuffer.Segment buffer = buffer(7);
        stage("read").read(2, buffer, 0).fixedFile();
        awaitAll();
        kernel().close(fd);
        assertThat(text(buffer)).isEqualTo("content");
    }

    @Test
    void theTableKeepsAFileOpen() {
        int fd = open(world.file(bytes("content")), linux_h.O_RDONLY());
        ring.registerFiles(1);
        ring.updateFile(0, fd);
        kernel().close(fd);
        stage("read").read(0, buffer(7), 0).fixedFile();
        awaitAll();
        assertThat(result("read")).isEqualTo(7);
    }

    @Test
    void aFileThatWasTakenOutIsGone() {
        int fd = open(world.file(bytes("content")), linux_h.O_RDONLY());
        ring.registerFiles(1);
        ring.updateFile(0, fd);
        ring.updateFile(0, -1);
        stage("read").read(0, buffer(7), 0).fixedFile();
        awaitAll();
        kernel().close(fd);
        assertThat(result("read")).isEqualTo(EBADF);
    }

    @Test
    void aPlaceBeyondTheTableIsRefused() {
        ring.registerFiles(2);
        ring.registerBuffers(2);
        MemorySegment memory = memory(4096);
        assertRefused(Errno.EINVAL, () -> ring.updateFile(2, -1));
        assertRefused(Errno.EINVAL, () -> ring.updateBuffer(2, memory));
    }

    @Test
    void thereIsOneTableOfEachKind() {
        ring.registerFiles(2);
        ring.registerBuffers(2);
        assertRefused(Errno.EBUSY, () -> ring.registerFiles(2));
        assertRefused(Errno.EBUSY, () -> ring.registerBuffers(2));
    }

    @Test
    void aRegisteredBufferIsReadAndWritten() {
        Path path = world.file(bytes("........"));
        int fd = open(path, linux_h.O_RDWR());
        MemorySegment memory = memory(4096);
        MemorySegment.copy(buffer("content").memory(), 0, memory, 0, 7);
        ring.registerBuffers(2);
        IoBuffer.Fixed fixed = ring.updateBuffer(1, memory);
        stage("write").write(fd, fixed.slice(0, 7), 1);
        awaitAll();
        assertThat(result("write")).isEqualTo(7);
        assertThat(new String(world.content(path), java.nio.charset.StandardCharsets.US_ASCII)).isEqualTo(".content");

        stage("read").read(fd, fixed.slice(100, 3), 1);
        awaitAll();
        kernel().close(fd);
        assertThat(result("read")).isEqualTo(3);
        assertThat(text(memory, 100, 3)).isEqualTo("con");
    }

    @Test
    void memoryOutsideTheRegisteredBufferIsRefused() {
        Pipe pipe = world.pipe();
        MemorySegment memory = memory(8192);
        ring.registerBuffers(1);
        ring.updateBuffer(0, memory.asSlice(0, 4096));
        stage("write").write(pipe.writer(), new IoBuffer.Fixed(ring, 0, memory.address() + 4090, 10), 0);
        awaitAll();
        assertThat(result("write")).isEqualTo(EFAULT);
    }

    @Test
    void aBufferThatWasTakenOutIsGone() {
        Pipe pipe = world.pipe();
        ring.registerBuffers(1);
        IoBuffer.Fixed fixed = ring.updateBuffer(0, memory(4096));
        ring.removeBuffer(0);
        stage("write").write(pipe.writer(), fixed, 0);
        awaitAll();
        assertThat(result("write")).isEqualTo(EFAULT);
    }

    @Test
    void aBufferThatWasNeverRegisteredIsRefused() {
        Pipe pipe = world.pipe();
        MemorySegment memory = memory(4096);
        stage("write").write(pipe.writer(), new IoBuffer.Fixed(ring, 0, memory.address(), 10), 0);
        awaitAll();
        assertThat(result("write")).isEqualTo(EFAULT);
    }

    /** That more of them work at a time a device shows, in the tests of the floor above. */
    @Test
    void aRingMayHaveMoreWorkers() {
        ring.maxWorkers(64);
        assertThatThrownBy(() -> ring.register(255, MemorySegment.NULL, 0)).isInstanceOf(KernelException.class);
    }
}
