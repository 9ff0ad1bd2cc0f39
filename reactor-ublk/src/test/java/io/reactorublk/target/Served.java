package io.reactorublk.target;

import static org.awaitility.Awaitility.await;

import io.reactorublk.BlockQueue;
import io.reactorublk.QueueListener;
import io.reactorublk.UblkDevice;
import io.reactorublk.UblkServer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.Arrays;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.atomic.AtomicBoolean;

/** A device on this machine's kernel, from start to end, and an application that uses it past the page cache. */
final class Served implements AutoCloseable {

    static final Duration LIMIT = Duration.ofSeconds(60);

    private static final int ALIGNMENT = 4096;
    /** By name: javac warns of whoever mentions it, and nothing silences that. */
    private static final OpenOption DIRECT;

    static {
        try {
            DIRECT = (OpenOption) Class.forName("com.sun.nio.file.ExtendedOpenOption").getField("DIRECT").get(null);
        } catch (ReflectiveOperationException e) {
            throw new ExceptionInInitializerError(e);
        }
    }

    private final UblkDevice device;

    private Served(UblkDevice device) {
        this.device = device;
    }

    /** When this returns nobody else uses the device: the kernel looks for partitions in its own time, udev after that. */
    static Served start(UblkServer server) {
        AtomicBoolean scanned = new AtomicBoolean();
        UblkServer watched = server.listener(new QueueListener() {
            @Override
            public void onFetched(BlockQueue queue, int tags) {
                scanned.set(true);
            }
        });
        Served served = new Served(Objects.requireNonNull(watched.start().block(LIMIT)));
        await().atMost(LIMIT).untilTrue(scanned);
        try {
            FileChannel.open(served.path(), StandardOpenOption.READ).close();   // open(2) waits for a scan that has begun
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        if (Files.exists(Path.of("/run/udev/control"))) run("udevadm", "settle");
        return served;
    }

    Path path() {
        return device.path();
    }

    byte[] read(long offset, int length) throws IOException {
        ByteBuffer buffer = buffer(length);
        try (FileChannel channel = FileChannel.open(path(), StandardOpenOption.READ, DIRECT)) {
            int bytes = channel.read(buffer, offset);
            if (bytes != length) throw new IOException("read " + bytes + " of " + length + " bytes");
        }
        byte[] bytes = new byte[length];
        buffer.flip().get(bytes);
        return bytes;
    }

    void write(long offset, byte[] bytes, OpenOption... options) throws IOException {
        OpenOption[] all = Arrays.copyOf(options, options.length + 2);
        all[options.length] = DIRECT;
        all[options.length + 1] = StandardOpenOption.WRITE;
        try (FileChannel channel = FileChannel.open(path(), all)) {
            channel.write(buffer(bytes.length).put(bytes).flip(), offset);
        }
    }

    /** {@code fdatasync(2)}. */
    void sync() throws IOException {
        try (FileChannel channel = FileChannel.open(path(), StandardOpenOption.WRITE)) {
            channel.force(false);
        }
    }

    /** DISCARD. */
    void discard(long offset, long length) {
        run("blkdiscard", "--force", "--offset", "" + offset, "--length", "" + length, path().toString());
    }

    /** WRITE_ZEROES that may free the range. */
    void punch(long offset, long length) {
        run("fallocate", "--punch-hole", "--offset", "" + offset, "--length", "" + length, path().toString());
    }

    /** WRITE_ZEROES that must keep it: NOUNMAP. */
    void zero(long offset, long length) {
        run("fallocate", "--zero-range", "--offset", "" + offset, "--length", "" + length, path().toString());
    }

    /** In the background. */
    CompletableFuture<byte[]> reading(long offset, int length) {
        CompletableFuture<byte[]> result = new CompletableFuture<>();
        Thread.ofPlatform().daemon().start(() -> {
            try {
                result.complete(read(offset, length));
            } catch (Throwable e) {
                result.completeExceptionally(new CompletionException(e));
            }
        });
        return result;
    }

    static byte[] bytes(int length, int seed) {
        byte[] bytes = new byte[length];
        new SplittableRandom(seed).nextBytes(bytes);
        return bytes;
    }

    /** Runs a program that must succeed; returns what it printed. */
    static String run(String... command) {
        try {
            Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
            String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
            if (process.waitFor() != 0) throw new AssertionError(String.join(" ", command) + ": " + output);
            return output;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    private static ByteBuffer buffer(int length) {
        return ByteBuffer.allocateDirect(length + ALIGNMENT).alignedSlice(ALIGNMENT).limit(length);
    }

    @Override
    public void close() {
        device.disposeLater().block(LIMIT);
    }
}
