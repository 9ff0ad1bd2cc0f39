package io.reactorublk.target;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.UblkDevice;
import io.reactorublk.UblkServer;
import io.reactorublk.memory.MemoryDisk;
import io.reactorublk.memory.MemoryUblk;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.KernelException;
import java.util.Objects;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import reactor.test.StepVerifier;

public class RamTargetTest {

    private static final int BYTES = 1 << 20;

    // @start region="ram"
    final MemoryUblk ublk = MemoryUblk.create();        // an in-memory kernel with the ublk driver loaded
    final RamTarget target = new RamTarget(BYTES);

    @Test
    void readsBackWhatWasWritten() {
        UblkServer server = UblkServer.create().kernel(ublk.kernel()).size(BYTES).serve(target);

        StepVerifier.create(server.start().map(ublk::disk)
                        .flatMap(disk -> disk.write(4096, "hello".getBytes(UTF_8)).then(disk.read(4096, 5))))
                .then(ublk::settle)                     // turn every loop until nothing moves
                .assertNext(bytes -> assertThat(bytes).asString().isEqualTo("hello"))
                .verifyComplete();
    }
    // @end

    private UblkDevice device(UblkServer server) {
        return Objects.requireNonNull(ublk.get(server.kernel(ublk.kernel()).serve(target).start()));
    }

    private MemoryDisk disk() {
        return ublk.disk(device(UblkServer.create().size(BYTES)));
    }

    @AfterEach
    void nobodyBrokeARule() {
        ublk.assertEveryRequestAnswered();
        assertThat(ublk.breaches()).isEmpty();
        ublk.close();
        target.close();
    }

    @Test
    void whatWasNeverWrittenReadsAsZeroes() {
        assertThat(ublk.get(disk().read(0, 100))).isEqualTo(new byte[100]);
    }

    @Test
    void zeroesReadAsZeroes() {
        MemoryDisk disk = disk();
        byte[] ones = new byte[8192];
        java.util.Arrays.fill(ones, (byte) 1);
        ublk.get(disk.write(0, ones));
        ublk.get(disk.writeZeroes(4096, 4096));
        assertThat(ublk.get(disk.read(4095, 2))).containsExactly(1, 0);
    }

    @Test
    void itsContentOutlivesADevice() {
        UblkDevice first = device(UblkServer.create().size(BYTES));
        ublk.get(ublk.disk(first).write(0, new byte[] {42}));
        ublk.get(first.disposeLater());
        ublk.assertNothingIsLeft();
        assertThat(ublk.get(disk().read(0, 1))).containsExactly(42);
    }

    @Test
    void aDeviceLargerThanItFailsBeyondItsEnd() {
        MemoryDisk disk = ublk.disk(device(UblkServer.create().size(2 * BYTES)));
        StepVerifier.create(disk.write(BYTES, new byte[4096])).then(ublk::settle)
                .verifyErrorSatisfies(e -> assertThat(((KernelException) e).errno()).isEqualTo(Errno.ENOSPC));
    }
}
