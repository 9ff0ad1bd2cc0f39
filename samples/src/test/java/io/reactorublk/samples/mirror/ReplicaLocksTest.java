package io.reactorublk.samples.mirror;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ReplicaLocksTest {

    @TempDir
    Path folder;

    private List<@Nullable ReplicaFile> files = List.of();

    @BeforeEach
    void create() {
        files = List.copyOf(ReplicaFile.create(List.of(folder.resolve("a"), folder.resolve("b")), 4096, 1, false));
    }

    @Test
    void filesInUseCannotBeUsed() {
        try (ReplicaLocks locks = ReplicaLocks.of(files)) {
            assertThatThrownBy(() -> ReplicaLocks.of(files)).isInstanceOf(MirrorException.class).hasMessageContaining("in use");
        }
        ReplicaLocks.of(files).close();
    }

    @Test
    void whoIsRefusedHasLockedNothing() {
        try (ReplicaLocks second = ReplicaLocks.of(Arrays.asList(null, files.get(1)))) {
            assertThatThrownBy(() -> ReplicaLocks.of(files)).hasMessageContaining("in use");
            ReplicaLocks.of(Arrays.asList(files.get(0), null)).close();
        }
    }

    @Test
    void filesThatChangedAfterTheyWereLookedAtAreRefused() throws IOException {
        ReplicaHeader next = java.util.Objects.requireNonNull(files.getFirst()).header().next(0b01, false);
        ByteBuffer slot = ByteBuffer.allocate(ReplicaHeader.SLOT_BYTES);
        next.encode(slot);
        try (FileChannel other = FileChannel.open(folder.resolve("a"), StandardOpenOption.WRITE)) {
            other.write(slot, next.slotOffset());
        }
        assertThatThrownBy(() -> ReplicaLocks.of(files)).isInstanceOf(MirrorException.class).hasMessageContaining("try again");
    }
}
