package io.reactorublk.samples.mirror;

import static java.nio.file.LinkOption.NOFOLLOW_LINKS;
import static java.nio.file.StandardOpenOption.CREATE_NEW;
import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.WRITE;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongConsumer;
import java.util.stream.Stream;

/**
 * Some files of a directory tree, to be copied and compared.
 *
 * @param files relative to the root
 */
record FileTree(Path root, List<Path> files, long bytes) {

    private static final int CHUNK = 1 << 20;
    private static final int SYNC_EVERY = 4;
    private static final int COPIERS = 4;

    /** As many files of a tree, by name, as fit into a number of bytes. */
    static FileTree of(Path root, long maxBytes) throws IOException {
        List<Path> files = new ArrayList<>();
        long bytes = 0;
        try (Stream<Path> all = Files.walk(root)) {
            for (Path file : all.filter(path -> Files.isRegularFile(path, NOFOLLOW_LINKS)).sorted().toList()) {
                long size = Files.size(file);
                if (bytes + size > maxBytes) continue;
                files.add(root.relativize(file));
                bytes += size;
            }
        }
        return new FileTree(root, files, bytes);
    }

    /**
     * Copies them, several at a time. Syncs large files as it goes, or everything would wait in the page cache, and the disk
     * idle, to the end.
     *
     * @param progress is told the bytes copied so far, by several threads
     * @throws InterruptedException if this program is to end
     */
    void copyTo(Path target, LongConsumer progress) throws IOException, InterruptedException {
        AtomicLong copied = new AtomicLong();
        List<Callable<Void>> copies = new ArrayList<>();
        for (Path file : files) {
            copies.add(() -> {
                copy(root.resolve(file), target.resolve(file), bytes -> progress.accept(copied.addAndGet(bytes)));
                return null;
            });
        }
        ExecutorService copiers = Executors.newFixedThreadPool(COPIERS);
        try {
            for (Future<Void> copy : copiers.invokeAll(copies)) copy.get();
        } catch (ExecutionException e) {
            throw new IOException("copying to " + target, e.getCause());
        } finally {
            copiers.shutdownNow();
            copiers.awaitTermination(1, TimeUnit.MINUTES);             // what they have open keeps the file system busy
        }
    }

    private static void copy(Path original, Path copy, LongConsumer progress) throws IOException {
        ByteBuffer buffer = ByteBuffer.allocateDirect(CHUNK);
        Files.createDirectories(Objects.requireNonNull(copy.getParent()));
        try (FileChannel from = FileChannel.open(original, READ); FileChannel to = FileChannel.open(copy, WRITE, CREATE_NEW)) {
            for (int chunks = 1; from.read(buffer.clear()) >= 0; chunks++) {
                progress.accept(buffer.flip().remaining());
                while (buffer.hasRemaining()) to.write(buffer);
                if (chunks % SYNC_EVERY == 0) to.force(false);
            }
        }
    }

    /**
     * Compares copies with the originals, byte by byte.
     *
     * @return those that differ or are missing
     */
    List<String> differencesIn(Path copy) throws IOException {
        List<String> differences = new ArrayList<>();
        for (Path file : files) {
            Path copied = copy.resolve(file.toString());
            if (!Files.exists(copied)) {
                differences.add(file + " is missing");
                continue;
            }
            long at = Files.mismatch(root.resolve(file), copied);
            if (at >= 0) differences.add(file + " differs at byte " + at);
        }
        return differences;
    }
}
