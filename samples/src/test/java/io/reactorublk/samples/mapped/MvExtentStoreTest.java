package io.reactorublk.samples.mapped;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The store on a disk: what its file is worth at any time. */
class MvExtentStoreTest {

    private static final int EXTENT_BYTES = 1 << 20;
    private static final int EXTENTS = 200;

    @TempDir
    Path folder;

    private Path file() {
        return folder.resolve("map");
    }

    private MvExtentStore open(Path file) {
        return MvExtentStore.open(file, EXTENT_BYTES);
    }

    private static void assertHolds(ExtentStore store, Map<Integer, Integer> model) {
        for (int logical = 0; logical < EXTENTS; logical++) {
            assertThat(store.lookUp(logical)).isEqualTo(model.getOrDefault(logical, ExtentStore.NONE));
        }
        assertThat(store.used().stream().boxed()).containsExactlyInAnyOrderElementsOf(model.values());
    }

    /** A killed process leaves its file as it is: so a copy of that, at any time, must be the last commit. */
    @Test
    void aKilledProcessLeavesItsLastCommit() throws IOException {
        SplittableRandom random = new SplittableRandom(1);
        Map<Integer, Integer> model = new HashMap<>();
        try (MvExtentStore store = open(file())) {
            for (int commit = 0; commit < 60; commit++) {
                Map<Integer, Integer> changes = changes(random, model);
                store.commit(changes);
                Path copy = Files.copy(file(), folder.resolve("copy-" + commit));
                try (MvExtentStore left = open(copy)) {
                    assertHolds(left, model);
                }
            }
        }
        try (MvExtentStore closed = open(file())) {
            assertHolds(closed, model);
        }
    }

    private static Map<Integer, Integer> changes(SplittableRandom random, Map<Integer, Integer> model) {
        Map<Integer, Integer> changes = new HashMap<>();
        for (int i = random.nextInt(20); i >= 0; i--) {
            int logical = random.nextInt(EXTENTS);
            if (changes.containsKey(logical)) continue;
            int physical = random.nextInt(4) == 0 ? ExtentStore.NONE : random.nextInt(10 * EXTENTS);
            if (model.containsValue(physical) || changes.containsValue(physical)) physical = ExtentStore.NONE;
            changes.put(logical, physical);
        }
        changes.forEach((logical, physical) -> {
            if (physical == ExtentStore.NONE) {
                model.remove(logical);
            } else {
                model.put(logical, physical);
            }
        });
        return changes;
    }

    /** The power fails during a commit: some of what it appends is missing. */
    @Test
    void aTornCommitIsNone() throws IOException {
        Map<Integer, Integer> first = Map.of(1, 10, 2, 20);
        Path copy = folder.resolve("torn");
        try (MvExtentStore store = open(file())) {
            store.commit(first);
            byte[] before = Files.readAllBytes(file());
            store.commit(Map.of(1, 11, 3, 30));
            byte[] after = Files.readAllBytes(file());
            assertThat(after.length).isGreaterThan(before.length);
            for (int end = before.length; end < after.length; end += 512) {
                Files.write(copy, java.util.Arrays.copyOf(after, end));
                try (MvExtentStore left = open(copy)) {
                    assertHolds(left, first);
                }
            }
        }
    }

    @Test
    void isForOneAtATime() {
        try (MvExtentStore store = open(file())) {
            store.commit(Map.of());
            assertThatThrownBy(() -> open(file())).hasMessage(file() + " is in use; a volume can be served by one process at a time");
        }
        open(file()).close();
    }

    @Test
    void refusesExtentsOfAnotherSize() {
        open(file()).close();
        assertThatIllegalArgumentException().isThrownBy(() -> MvExtentStore.open(file(), 1 << 16))
                .withMessage(file() + " maps extents of 1048576 bytes, not of 65536; open it with 1048576");
        open(file()).close();
    }

    @Test
    void refusesWhatIsNoStore() throws IOException {
        Files.writeString(file(), "something else ".repeat(1000));
        assertThatThrownBy(() -> open(file())).hasMessageStartingWith(file() + " is not the map of a volume, or is damaged: ");
    }

    @Test
    void refusesAFolderThatIsMissing() {
        Path path = folder.resolve("none/map");
        assertThatThrownBy(() -> open(path)).hasMessageStartingWith("the map " + path + " cannot be opened: ");
    }
}
