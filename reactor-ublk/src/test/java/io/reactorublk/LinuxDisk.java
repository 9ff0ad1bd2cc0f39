package io.reactorublk;

import io.reactorublk.uring.Errno;
import java.io.EOFException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;

/** A block device of this machine: {@code O_DIRECT}, and a thread for each operation. */
final class LinuxDisk implements Disk {

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

    private final Path path;
    private final List<FileChannel> open = new ArrayList<>();

    LinuxDisk(Path path) {
        this.path = path;
    }

    @Override
    public CompletableFuture<byte[]> read(long offset, int length) {
        return start("read", () -> {
            ByteBuffer buffer = buffer(length);
            read(offset, buffer);
            byte[] bytes = new byte[length];
            buffer.flip().get(bytes);
            return bytes;
        });
    }

    @Override
    public CompletableFuture<Void> read(long offset, MemorySegment into) {
        return start("read", () -> read(offset, into.asByteBuffer()));
    }

    private Void read(long offset, ByteBuffer buffer) throws IOException {
        FileChannel channel = channel(StandardOpenOption.READ);
        while (buffer.hasRemaining()) {
            if (channel.read(buffer, offset + buffer.position()) <= 0) throw new EOFException();
        }
        return null;
    }

    @Override
    public CompletableFuture<Void> write(long offset, byte[] bytes) {
        return start("write", () -> write(channel(StandardOpenOption.WRITE), offset, copied(bytes)));
    }

    @Override
    public CompletableFuture<Void> write(long offset, MemorySegment from) {
        return start("write", () -> write(channel(StandardOpenOption.WRITE), offset, from.asByteBuffer()));
    }

    @Override
    public CompletableFuture<Void> writeDurably(long offset, byte[] bytes) {
        return start("durable write", () ->
                write(channel(StandardOpenOption.WRITE, StandardOpenOption.DSYNC), offset, copied(bytes)));
    }

    private static Void write(FileChannel channel, long offset, ByteBuffer buffer) throws IOException {
        while (buffer.hasRemaining()) channel.write(buffer, offset + buffer.position());
        return null;
    }

    @Override
    public CompletableFuture<Void> flush() {
        return start("flush", () -> {
            channel(StandardOpenOption.WRITE).force(false);
            return null;
        });
    }

    @Override
    public CompletableFuture<Void> discard(long offset, long length) {
        return run("blkdiscard", "--force", "--offset", "" + offset, "--length", "" + length, path.toString());
    }

    @Override
    public CompletableFuture<Void> punch(long offset, long length) {
        return run("fallocate", "--punch-hole", "--offset", "" + offset, "--length", "" + length, path.toString());
    }

    @Override
    public CompletableFuture<Void> zero(long offset, long length) {
        return run("blkdiscard", "--force", "--zeroout", "--offset", "" + offset, "--length", "" + length, path.toString());
    }

    private static CompletableFuture<Void> run(String... command) {
        return start(command[0], () -> {
            Shell.Result result = Shell.run(command);
            if (result.status() != 0) throw new IOException(result.output().strip());
            return null;
        });
    }

    private static ByteBuffer copied(byte[] bytes) {
        return buffer(bytes.length).put(bytes).flip();
    }

    private static ByteBuffer buffer(int length) {
        return ByteBuffer.allocateDirect(length + ALIGNMENT).alignedSlice(ALIGNMENT).limit(length);
    }

    private static <T> CompletableFuture<T> start(String operation, Callable<T> body) {
        CompletableFuture<T> result = new CompletableFuture<>();
        Thread.ofPlatform().daemon().name("application").start(() -> {
            try {
                result.complete(body.call());
            } catch (Throwable e) {
                result.completeExceptionally(e instanceof IOException io ? failure(io, operation) : e);
            }
        });
        return result;
    }

    /** Java tells an errno by its text only. A device that is gone has no bytes, and soon no name. */
    private static Throwable failure(IOException e, String operation) {
        if (e instanceof EOFException || e instanceof NoSuchFileException) return new Failure(Errno.ENODEV, operation);
        String text = e instanceof FileSystemException detailed ? detailed.getReason() : e.getMessage();
        for (Errno errno : Errno.values()) {
            if (text != null && text.endsWith(errno.text())) return new Failure(errno, operation);
        }
        return new AssertionError("no errno is called \"" + text + "\"", e);
    }

    /** One for each operation: they share nothing. */
    private FileChannel channel(OpenOption... options) throws IOException {
        OpenOption[] direct = Arrays.copyOf(options, options.length + 1);
        direct[options.length] = DIRECT;
        FileChannel channel = FileChannel.open(path, direct);
        synchronized (open) {
            open.add(channel);
        }
        return channel;
    }

    @Override
    public void close() {
        synchronized (open) {
            for (FileChannel channel : open) {
                try {
                    channel.close();
                } catch (IOException e) {
                    throw new AssertionError(e);
                }
            }
            open.clear();
        }
    }
}
