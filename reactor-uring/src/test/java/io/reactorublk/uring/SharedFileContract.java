package io.reactorublk.uring;

import static io.reactorublk.uring.abi.linux_h.MAP_SHARED;
import static io.reactorublk.uring.abi.linux_h.O_CREAT;
import static io.reactorublk.uring.abi.linux_h.O_EXCL;
import static io.reactorublk.uring.abi.linux_h.O_RDWR;
import static io.reactorublk.uring.abi.linux_h.PROT_READ;
import static io.reactorublk.uring.abi.linux_h.PROT_WRITE;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Files of {@code /dev/shm}, which several have mapped. */
abstract class SharedFileContract extends KernelContract {

    private static final int PAGE = 4096;

    private String path;

    @BeforeEach
    final void choosePath() {
        path = world.sharedPath().toString();
    }

    private int create(long bytes) {
        int fd = kernel().open(path, O_RDWR() | O_CREAT() | O_EXCL(), 0600);
        kernel().ftruncate(fd, bytes);
        return fd;
    }

    private MemorySegment map(int fd, long bytes, Arena mapped) {
        return kernel().mmap(fd, 0, bytes, PROT_READ() | PROT_WRITE(), MAP_SHARED(), mapped);
    }

    private Errno refusalOf(Runnable call) {
        KernelException refusal = catchThrowableOfType(KernelException.class, call::run);
        assertThat(refusal).as("refusal").isNotNull();
        return refusal.errno();
    }

    @Test
    void isAsLongAsItWasMade() {
        int fd = create(3 * PAGE);
        assertThat(kernel().lseekEnd(fd)).isEqualTo(3 * PAGE);
        kernel().ftruncate(fd, 2 * PAGE);
        assertThat(kernel().lseekEnd(fd)).isEqualTo(2 * PAGE);
        kernel().close(fd);
        int again = kernel().open(path, O_RDWR(), 0);
        assertThat(kernel().lseekEnd(again)).isEqualTo(2 * PAGE);
        kernel().close(again);
        assertThat(refusalOf(() -> create(PAGE))).isEqualTo(Errno.EEXIST);
    }

    @Test
    void whoMapsItSeesTheSame() {
        int fd = create(PAGE);
        MemorySegment one = map(fd, PAGE, arena);
        kernel().close(fd);
        int again = kernel().open(path, O_RDWR(), 0);
        MemorySegment other = map(again, PAGE, arena);
        kernel().close(again);
        assertThat(other.get(JAVA_BYTE, 7)).isZero();
        one.set(JAVA_BYTE, 7, (byte) 42);
        assertThat(other.get(JAVA_BYTE, 7)).isEqualTo((byte) 42);
    }

    @Test
    void keepsItsBytesWhenNobodyHasItMapped() {
        int fd = create(PAGE);
        try (Arena mapped = Arena.ofShared()) {
            map(fd, PAGE, mapped).set(JAVA_BYTE, 7, (byte) 42);
        }
        assertThat(map(fd, PAGE, arena).get(JAVA_BYTE, 7)).isEqualTo((byte) 42);
        kernel().close(fd);
    }

    @Test
    void nothingAndNegativeLengthsAreRefused() {
        int fd = create(PAGE);
        assertThat(refusalOf(() -> map(fd, 0, arena))).isEqualTo(Errno.EINVAL);
        assertThat(refusalOf(() -> kernel().ftruncate(fd, -1))).isEqualTo(Errno.EINVAL);
        kernel().close(fd);
        assertThat(refusalOf(() -> kernel().ftruncate(fd, PAGE))).isEqualTo(Errno.EBADF);
        assertThat(refusalOf(() -> kernel().lseekEnd(fd))).isEqualTo(Errno.EBADF);
    }
}
