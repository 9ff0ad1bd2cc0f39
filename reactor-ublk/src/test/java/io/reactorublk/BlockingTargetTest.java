package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.reactorublk.memory.MemoryUblk;
import io.reactorublk.uring.KernelException;
import java.util.Objects;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import reactor.blockhound.BlockingOperationError;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** A target that blocks its loop is found out in memory, too: it is the test's thread that turns the loop there. */
class BlockingTargetTest {

    @RegisterExtension
    final LogCapture log = new LogCapture();

    private final MemoryUblk ublk = MemoryUblk.create().withoutPartitionScan();

    @AfterEach
    void close() {
        ublk.close();
    }

    private UblkDevice serve(BlockTarget target) {
        return Objects.requireNonNull(ublk.get(UblkServer.create().size(1 << 20).kernel(ublk.kernel()).serve(target).start()));
    }

    @Test
    void anAnswerThatSleepsFails() {
        UblkDevice device = serve(queue -> queue.answer(request -> {
            sleep();
            return Mono.just(request.complete());
        }));
        assertThatThrownBy(() -> ublk.get(ublk.disk(device).read(0, 4096))).isInstanceOf(KernelException.class).hasMessageContaining("EIO");
        ublk.get(device.disposeLater());
    }

    @Test
    void aTargetOfItsOwnMakingThatSleepsIsLost() {
        UblkDevice device = serve(queue -> Flux.from(queue).map(request -> {
            sleep();
            return request.complete();
        }));
        assertThatThrownBy(() -> ublk.get(ublk.disk(device).read(0, 4096))).isInstanceOf(KernelException.class).hasMessageContaining("EIO");
        assertThat(log.takeErrors()).anyMatch(error -> error.contains(BlockingOperationError.class.getName()));
        ublk.get(device.disposeLater());
    }

    private static void sleep() {
        try {
            Thread.sleep(1);
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }
}
