package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.memory.MemoryUblk;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Mono;

/** Whether the kernel in memory looks for partitions, as Linux does in {@link PartitionVmIT}. */
class PartitionTest {

    /** What comes when nobody asks for anything. */
    private static List<String> requests(MemoryUblk ublk, UblkServer server) {
        List<String> seen = new ArrayList<>();
        ublk.get(server.kernel(ublk.kernel()).size(1 << 20).serve(queue -> queue.answer(request -> {
            seen.add(request.operation() + " at " + request.offset());
            return Mono.just(request.complete());
        })).start());
        ublk.settle();
        return seen;
    }

    @Test
    void theKernelReadsTheFirstPage() {
        try (MemoryUblk ublk = MemoryUblk.create()) {
            assertThat(requests(ublk, UblkServer.create())).containsExactly("READ at 0");
        }
    }

    @Test
    void withoutAScanItReadsNothing() {
        try (MemoryUblk ublk = MemoryUblk.create()) {
            assertThat(requests(ublk, UblkServer.create().withoutPartitionScan())).isEmpty();
        }
    }

    @Test
    void ofADeviceOfAnOrdinaryUserItReadsNothing() {
        try (MemoryUblk ublk = MemoryUblk.create().withoutPrivileges()) {
            assertThat(requests(ublk, UblkServer.create().unprivileged())).isEmpty();
        }
    }
}
