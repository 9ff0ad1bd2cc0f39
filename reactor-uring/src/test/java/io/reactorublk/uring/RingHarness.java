package io.reactorublk.uring;

import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.uring.World.Pipe;
import io.reactorublk.uring.abi.io_uring_h;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;

/** A ring that the test's own thread drives, and a record of what completed. */
abstract class RingHarness extends KernelContract {

    static final int ECANCELED = Errno.ECANCELED.result();
    static final int EBADF = Errno.EBADF.result();
    static final int EFAULT = Errno.EFAULT.result();
    static final int ETIME = Errno.ETIME.result();
    static final int ENOBUFS = Errno.ENOBUFS.result();

    private static final int PATIENCE_TURNS = 200;
    private static final long TURN_NANOS = TimeUnit.MILLISECONDS.toNanos(100);

    final List<Done> done = new ArrayList<>();
    private final List<Ring> rings = new ArrayList<>();
    Ring ring;

    /** One completion: what the test called the operation, what the kernel said. */
    record Done(String name, int result, int flags) {

        boolean more() {
            return (flags & io_uring_h.IORING_CQE_F_MORE()) != 0;
        }

        boolean buffer() {
            return (flags & io_uring_h.IORING_CQE_F_BUFFER()) != 0;
        }

        boolean bufferMore() {
            return (flags & io_uring_h.IORING_CQE_F_BUF_MORE()) != 0;
        }

        int bufferId() {
            return flags >>> io_uring_h.IORING_CQE_BUFFER_SHIFT();
        }
    }

    @BeforeEach
    final void openRing() {
        ring = openRing(new RingConfig(8, 64, false));
    }

    final Ring openRing(RingConfig config) {
        Ring opened = Ring.open(kernel(), config);
        opened.enable();
        rings.add(opened);
        return opened;
    }

    /** Before the arena: the kernel may not hold our memory any longer than we do. */
    @AfterEach
    final void closeRings() {
        for (Ring opened : rings) {
            if (opened.awaited() > 0) opened.cancelAll();
            for (int turn = 0; opened.awaited() > 0 && turn < PATIENCE_TURNS; turn++) turn(opened);
            opened.close();
        }
    }

    final Sqe stage(String name) {
        return ring.stage((result, flags) -> done.add(new Done(name, result, flags)));
    }

    /** One turn that does not wait. */
    final void submit() {
        ring.enter(false, Ring.FOREVER);
        ring.reap();
    }

    /** Turns until at least so many have completed altogether. */
    final List<Done> await(int count) {
        for (int turn = 0; done.size() < count && turn < PATIENCE_TURNS; turn++) turn(ring);
        assertThat(done).as("completions").hasSizeGreaterThanOrEqualTo(count);
        return done;
    }

    /** Turns until nothing is on its way, and returns all that completed. */
    final List<Done> awaitAll() {
        for (int turn = 0; ring.inFlight() > 0 && turn < PATIENCE_TURNS; turn++) turn(ring);
        assertThat(ring.inFlight()).as("in flight").isZero();
        return done;
    }

    private static void turn(Ring ring) {
        ring.enter(true, TURN_NANOS);
        ring.reap();
    }

    /** The result of the operation with this name, which completed once. */
    final int result(String name) {
        List<Done> found = done.stream().filter(d -> d.name().equals(name)).toList();
        assertThat(found).as("completions of " + name).hasSize(1);
        return found.getFirst().result();
    }

    /** Writes to a pipe and waits until that is done. The kernel has then told whoever reads it. */
    final void write(Pipe pipe, String text) {
        int[] written = {-1};
        ring.stage((result, flags) -> written[0] = result).write(pipe.writer(), buffer(text), 0);
        for (int turn = 0; written[0] < 0 && turn < PATIENCE_TURNS; turn++) turn(ring);
        assertThat(written[0]).isEqualTo(text.length());
    }

    /** The address of a {@code struct __kernel_timespec}. */
    final long timespec(long millis) {
        MemorySegment timespec = memory(2 * Long.BYTES);
        timespec.set(java.lang.foreign.ValueLayout.JAVA_LONG, 0, millis / 1000);
        timespec.set(java.lang.foreign.ValueLayout.JAVA_LONG, Long.BYTES, TimeUnit.MILLISECONDS.toNanos(millis % 1000));
        return timespec.address();
    }
}
