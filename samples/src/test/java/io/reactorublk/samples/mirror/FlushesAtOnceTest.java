package io.reactorublk.samples.mirror;

import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.UblkServer;
import io.reactorublk.memory.MemoryDisk;
import io.reactorublk.memory.MemoryUblk;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.memory.MemoryFile;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.OptionalInt;
import java.util.UUID;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Mono;

/**
 * Two that make durable at once, on a replica that cannot. Linux tells one of them, and neither may be believed before that
 * replica is stale on the disks of the others. A seed meets this once in some thousands.
 */
class FlushesAtOnceTest {

    private static final int MEMBERS = 2;
    private static final long DATA_BYTES = 1 << 20;

    private final MemoryUblk ublk = MemoryUblk.create();
    private final List<MemoryFile> files = new ArrayList<>();
    private final List<String> ended = new ArrayList<>();
    private ServedMirror mirror;
    private MemoryDisk disk;

    @BeforeEach
    void start() {
        UUID set = UUID.randomUUID();
        List<ReplicaFile> replicas = new ArrayList<>();
        for (int i = 0; i < MEMBERS; i++) {
            ReplicaHeader header = ReplicaHeader.first(set, i, MEMBERS, 1, DATA_BYTES);
            ByteBuffer content = ByteBuffer.allocate((int) (ReplicaHeader.DATA_OFFSET + DATA_BYTES));
            header.encode(content.slice((int) header.slotOffset(), ReplicaHeader.SLOT_BYTES));
            Path path = Path.of("/replica-" + i);
            files.add(ublk.kernel().file(path.toString(), content.array()));
            replicas.add(new ReplicaFile(path, i, content.capacity(), header));
        }
        ServedMirror.Settings settings = new ServedMirror.Settings(1, 8, Duration.ofMillis(50), false);
        mirror = Objects.requireNonNull(ublk.get(ServedMirror.serve(ublk.kernel(), UblkServer.create(),
                Assembly.of(replicas, OptionalInt.empty(), false), settings, new Faults(), ReplicaLocks.none())));
        disk = ublk.disk(mirror.device());
        ublk.get(disk.write(0, new byte[4096]));
        files.getFirst().fail(MemoryFile.Call.SYNC, 1, Errno.EIO);
    }

    @AfterEach
    void stop() {
        ublk.get(mirror.stop());
        ublk.close();
    }

    /** What the disk of the other replica says of the one that failed, when this is acknowledged. */
    private void submit(String what, Mono<Void> operation) {
        operation.subscribe(nothing -> {}, e -> ended.add(what + " failed"), () -> ended.add(what + ", stale: " + stale()));
    }

    private String stale() {
        ByteBuffer slots = ByteBuffer.wrap(files.getLast().durableContent());
        return MirrorSet.names(ReplicaHeader.newest(slots.limit(ReplicaHeader.SLOTS * ReplicaHeader.SLOT_BYTES)).stale());
    }

    @Test
    void twoFlushes() {
        submit("first", disk.flush());
        submit("second", disk.flush());
        ublk.kernel().settle();
        assertThat(ended).containsExactlyInAnyOrder("first, stale: replica 0", "second, stale: replica 0");
    }

    @Test
    void aFlushAndADurableWrite() {
        submit("flush", disk.flush());
        submit("write", disk.writeDurably(8192, new byte[4096]));
        ublk.kernel().settle();
        assertThat(ended).containsExactlyInAnyOrder("flush, stale: replica 0", "write, stale: replica 0");
    }
}
