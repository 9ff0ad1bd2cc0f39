package io.reactorublk.samples.mapped;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.BitSet;
import java.util.Map;
import org.h2.mvstore.DataUtils;
import org.h2.mvstore.MVMap;
import org.h2.mvstore.MVStore;
import org.h2.mvstore.MVStoreException;

/**
 * A store in H2's <a href="https://h2database.com/html/mvstore.html">MVStore</a>: B-trees that are written anew where they
 * change, and become valid all at once with the chunk that a commit appends. Nothing is written between commits.
 *
 * <pre>
 *   extents    logical → physical
 *   used       n → 64 bits: which of the physical extents from 64 n on have an owner
 *   settings   what the volume was made with
 * </pre>
 *
 * {@code used} says nothing that {@code extents} does not say; but to read all of that would make every start as long as the
 * volume is large.
 */
final class MvExtentStore implements ExtentStore {

    private static final String EXTENT_BYTES = "extentBytes";

    /**
     * So often are chunks written anew of which little is left; MVStore does it by itself only where it commits by itself. Without
     * it, a map of 100 000 extents grew by 40 KiB with each commit of four.
     */
    private static final int COMPACT_EVERY = 16;
    private static final int COMPACT_FILL_PERCENT = 50;
    private static final int COMPACT_BYTES = 4 << 20;

    private final MVStore store;
    private final MVMap<Integer, Integer> extents;
    private final MVMap<Integer, Long> used;
    private int commits;

    private MvExtentStore(MVStore store) {
        this.store = store;
        extents = store.openMap("extents");
        used = store.openMap("used");
    }

    /**
     * Opens a store, or makes one, and locks it against other processes.
     *
     * @throws IllegalArgumentException if it was made for extents of another size
     * @throws IllegalStateException if it is in use, or is no such store
     * @throws UncheckedIOException if the operating system refuses
     */
    static MvExtentStore open(Path file, int extentBytes) {
        MVStore store;
        try {
            store = new MVStore.Builder().fileName(file.toString()).autoCommitDisabled().autoCommitBufferSize(0).open();
        } catch (MVStoreException e) {
            throw refusal(file, e);
        } catch (IllegalArgumentException e) {                         // a folder that is missing
            throw new UncheckedIOException("the map " + file + " cannot be opened: " + e.getMessage(), new IOException(e));
        }
        try {
            MVMap<String, Long> settings = store.openMap("settings");
            Long made = settings.putIfAbsent(EXTENT_BYTES, (long) extentBytes);
            if (made != null && made != extentBytes) {
                throw new IllegalArgumentException("%s maps extents of %d bytes, not of %d; open it with %d"
                        .formatted(file, made, extentBytes, made));
            }
            MvExtentStore opened = new MvExtentStore(store);
            if (made == null) opened.create(file);
            return opened;
        } catch (RuntimeException e) {
            store.closeImmediately();
            throw e;
        }
    }

    private static RuntimeException refusal(Path file, MVStoreException e) {
        return switch (e.getErrorCode()) {
            case DataUtils.ERROR_FILE_LOCKED -> new IllegalStateException(
                    file + " is in use; a volume can be served by one process at a time", e);
            case DataUtils.ERROR_FILE_CORRUPT, DataUtils.ERROR_UNSUPPORTED_FORMAT -> new IllegalStateException(
                    file + " is not the map of a volume, or is damaged: " + e.getMessage(), e);
            default -> new UncheckedIOException("the map " + file + " cannot be opened: " + e.getMessage(), new IOException(e));
        };
    }

    /** A new file is there after a power cut only if its folder has been synced, too. */
    private void create(Path file) {
        commit(Map.of());
        Path folder = file.toAbsolutePath().getParent();
        try (FileChannel channel = FileChannel.open(folder, StandardOpenOption.READ)) {
            channel.force(true);
        } catch (IOException e) {
            throw new UncheckedIOException("the folder of the map " + file + " cannot be synced: " + e, e);
        }
    }

    @Override
    public int lookUp(int logical) {
        Integer physical = extents.get(logical);
        return physical == null ? NONE : physical;
    }

    @Override
    public BitSet used() {
        BitSet bits = new BitSet();
        used.forEach((word, value) -> {
            for (long rest = value; rest != 0; rest &= rest - 1) bits.set(word * Long.SIZE + Long.numberOfTrailingZeros(rest));
        });
        return bits;
    }

    @Override
    public void commit(Map<Integer, Integer> changes) {
        changes.forEach((logical, physical) -> {
            Integer before = physical == NONE ? extents.remove(logical) : extents.put(logical, physical);
            if (before != null) mark(before, false);
            if (physical != NONE) mark(physical, true);
        });
        store.commit();
        store.sync();
        if (++commits % COMPACT_EVERY == 0 && store.compact(COMPACT_FILL_PERCENT, COMPACT_BYTES)) store.sync();
    }

    private void mark(int physical, boolean owned) {
        long bit = 1L << physical;                                     // of the low six bits
        long word = used.getOrDefault(physical / Long.SIZE, 0L);
        used.put(physical / Long.SIZE, owned ? word | bit : word & ~bit);
    }

    @Override
    public void close() {
        store.close();
    }
}
