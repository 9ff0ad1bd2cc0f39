package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.RawQueue.Delivered;
import io.reactorublk.abi.ublk_cmd_h;
import io.reactorublk.uring.Errno;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;

/** Pages of requests in a ring's table: registered by the driver with the tag, or by command. */
abstract class DriverBufferContract extends DriverContract {

    private static final long REGISTER = ublk_cmd_h.UBLK_U_IO_REGISTER_IO_BUF();
    private static final long UNREGISTER = ublk_cmd_h.UBLK_U_IO_UNREGISTER_IO_BUF();
    private static final int FALLBACK = ublk_cmd_h.UBLK_BATCH_F_AUTO_BUF_REG_FALLBACK();
    private static final int NO_COPIES = 0;
    private static final int BEYOND_THE_TABLE = 1000;

    private RawQueue queue;
    private Disk disk;

    private void serve(long features, int flags, int firstIndex) {
        int id = add(1, DEPTH, MAX_IO, features);
        queue = queue(open(id), 0, DEPTH).withoutCopies(flags, firstIndex);
        queue.ring().registerBuffers(2 * DEPTH);
        start(id, queue, DEPTH);
        disk = disk(id);
    }

    private void serveAutomatically(int flags, int firstIndex) {
        serve(ublk_cmd_h.UBLK_F_AUTO_BUF_REG() | ublk_cmd_h.UBLK_F_SUPPORT_ZERO_COPY(), flags, firstIndex);
    }

    private void finish(Delivered request) {
        assertThat(resultOf(queue.commit(queue.element(request.tag(), request.length())))).isEqualTo(RawQueue.HEADER_BYTES);
    }

    private static boolean needsRegistration(Delivered request) {
        return (request.flags() & ublk_cmd_h.UBLK_IO_F_NEED_REG_BUF()) != 0;
    }

    @Test
    void aWrongIndexFailsTheRequestAndTheServerNeverSeesIt() {
        serveAutomatically(NO_COPIES, BEYOND_THE_TABLE);
        assertThat(failureOf(disk.write(QUIET, filled(BLOCK, 1)))).isEqualTo(Errno.EIO);
        assertThat(queue.delivered).isEmpty();
    }

    @Test
    void withFallbackAWrongIndexIsDeliveredUnregistered() {
        serveAutomatically(FALLBACK, BEYOND_THE_TABLE);
        CompletableFuture<?> write = disk.write(QUIET, filled(BLOCK, 1));
        Delivered request = next(queue);
        assertThat(needsRegistration(request)).isTrue();
        assertThat(resultOf(queue.buffer(REGISTER, request.tag(), 0))).isZero();
        assertThat(resultOf(queue.buffer(UNREGISTER, request.tag(), 0))).isZero();
        finish(request);
        get(write);
    }

    @Test
    void theDriverTakesOutWhatItPutIn() {
        serveAutomatically(FALLBACK, 0);
        for (int i = 0; i < 2 * DEPTH; i++) {
            CompletableFuture<?> write = disk.write(QUIET, filled(BLOCK, 1));
            Delivered request = next(queue);
            queue.lend(1);
            assertThat(needsRegistration(request)).isFalse();
            assertThat(errnoOf(queue.buffer(REGISTER, request.tag(), request.tag()))).as("its place is taken").isEqualTo(Errno.EBUSY);
            finish(request);
            get(write);
        }
    }

    @Test
    void whoForgetsToUnregisterKeepsTheApplicationWaitingAndNothingElse() {
        serve(ublk_cmd_h.UBLK_F_SUPPORT_ZERO_COPY(), NO_COPIES, 0);
        CompletableFuture<?> write = disk.write(QUIET, filled(BLOCK, 1));
        Delivered request = next(queue);
        assertThat(resultOf(queue.buffer(REGISTER, request.tag(), 3))).isZero();
        finish(request);
        settle();
        assertThat(write).as("answered, but its pages are registered").isNotDone();

        CompletableFuture<?> other = disk.write(QUIET + 2 * BLOCK, filled(BLOCK, 2));
        finish(next(queue));
        get(other);

        assertThat(resultOf(queue.buffer(UNREGISTER, request.tag(), 3))).isZero();
        get(write);
    }

    @Test
    void aRingThatClosesLetsGoOfWhatWasForgotten() {
        serve(ublk_cmd_h.UBLK_F_SUPPORT_ZERO_COPY(), NO_COPIES, 0);
        CompletableFuture<?> write = disk.write(QUIET, filled(BLOCK, 1));
        Delivered request = next(queue);
        assertThat(resultOf(queue.buffer(REGISTER, request.tag(), 3))).isZero();
        finish(request);
        settle();
        assertThat(write).isNotDone();
        close(queue.ring());
        get(write);
    }

    @Test
    void placesThatCannotBeAreRefused() {
        serve(ublk_cmd_h.UBLK_F_SUPPORT_ZERO_COPY(), NO_COPIES, 0);
        CompletableFuture<?> write = disk.write(QUIET, filled(BLOCK, 1));
        Delivered request = next(queue);
        int free = (request.tag() + 1) % DEPTH;
        assertThat(errnoOf(queue.buffer(REGISTER, request.tag(), BEYOND_THE_TABLE))).isEqualTo(Errno.EINVAL);
        assertThat(errnoOf(queue.buffer(REGISTER, free, 0))).as("a tag that is not in flight").isEqualTo(Errno.EINVAL);
        assertThat(errnoOf(queue.buffer(UNREGISTER, request.tag(), 0))).as("an empty place").isEqualTo(Errno.EINVAL);
        finish(request);
        get(write);
    }
}
