package io.reactorublk.uring;

import io.reactorublk.uring.abi.linux_h;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.List;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.AtomicIntegerFieldUpdater;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;

/**
 * A file whose operations are {@link Mono}s on one {@link EventLoop}. Any file will do, as long as it is read and written
 * by offset: a regular file, a block device.
 *
 * <pre>{@code
 * Mono.usingWhen(UringFile.open(loop, path, READ),
 *         file -> file.read(buffer, 0),
 *         UringFile::close)
 * }</pre>
 *
 * <p>Every Mono is cold: each subscription is one operation, which starts when it is requested. It may be subscribed from
 * any thread and signals on the loop. What is requested in one turn of the loop reaches the kernel in one system call, and
 * may be executed in any order.
 *
 * <p>A cancelled operation never signals, and is ended early where the kernel can. Until it has ended in the kernel its
 * memory belongs to it: whoever closes an arena under an operation, cancelled or not, lets the kernel write to whatever
 * comes there next.
 *
 * <p>Errors: a {@link KernelException} for what the kernel refused, with its errno; an {@link IllegalStateException} after
 * {@link #close}; a {@link RejectedExecutionException} if the loop is disposed. A short read or write is a result, not an
 * error.
 */
public final class UringFile {

    /** Enough for the longest path, the longest list of pieces, and a status with its empty path. */
    static final long SCRATCH_BYTES = FileVectoredTransfer.bytes(FileVectoredTransfer.MAX_PIECES);

    private static final int OPEN = 0;
    private static final int CLOSING = 1;
    private static final int CLOSED = 2;

    private static final AtomicIntegerFieldUpdater<UringFile> STATE =
            AtomicIntegerFieldUpdater.newUpdater(UringFile.class, "state");

    private final EventLoop loop;
    private final Path path;
    private final int flags;
    private final Sinks.Empty<Void> whenClosed = Sinks.empty();
    private volatile int state;

    /** What the kernel reads and writes beside the user's memory: an area for each operation. On the loop, as all below. */
    private final Arena arena = Arena.ofShared();
    private final ArrayDeque<MemorySegment> scratches = new ArrayDeque<>();
    private int fd = -1;
    private boolean borrowed;
    private int inFlight;

    /**
     * Opens a file. Without {@code READ} or {@code WRITE} it is opened for reading; a new one may be read and written by
     * all, less the umask.
     *
     * @param options of {@link java.nio.file.StandardOpenOption} READ, WRITE, CREATE, CREATE_NEW, TRUNCATE_EXISTING, DSYNC
     *     and SYNC; {@link UringOpenOption#DIRECT}
     * @throws UnsupportedOperationException for other options
     * @throws IllegalArgumentException for CREATE, CREATE_NEW or TRUNCATE_EXISTING without WRITE
     */
    public static Mono<UringFile> open(EventLoop loop, Path path, OpenOption... options) {
        return new FileOpen(loop, path, OpenFlags.of(options)).assembled();
    }

    /**
     * A file that somebody else has opened, and goes on owning: {@link #close} waits for what is under way and leaves the
     * descriptor open. It must stay open until then.
     *
     * @param path for messages
     * @param fd its descriptor, open for reading and writing
     */
    public static UringFile borrow(EventLoop loop, Path path, int fd) {
        UringFile file = new UringFile(loop, path, linux_h.O_RDWR()).opened(fd);
        file.borrowed = true;
        return file;
    }

    UringFile(EventLoop loop, Path path, int flags) {
        this.loop = loop;
        this.path = path;
        this.flags = flags;
    }

    /** The path it was opened by. */
    public Path path() {
        return path;
    }

    /** The loop its operations run on. */
    public EventLoop loop() {
        return loop;
    }

    /**
     * Reads into a buffer, {@code pread(2)}.
     *
     * @param offset in the file, in bytes
     * @return how many bytes were read: less than asked for near the end of the file, 0 at it
     */
    public Mono<Integer> read(IoBuffer buffer, long offset) {
        return new FileTransfer(this, false, buffer, offset, 0).assembled();
    }

    /**
     * Writes a buffer, {@code pwrite(2)}. Durable after the next {@link #sync}.
     *
     * @param offset in the file, in bytes
     * @return how many bytes were written, which may be less
     */
    public Mono<Integer> write(IoBuffer buffer, long offset) {
        return write(buffer, offset, false);
    }

    /**
     * Writes a buffer, {@code pwritev2(2)}.
     *
     * @param offset in the file, in bytes
     * @param durable whether the bytes must be on the disk when this completes ({@code RWF_DSYNC}, a disk's FUA)
     * @return how many bytes were written, which may be less
     */
    public Mono<Integer> write(IoBuffer buffer, long offset, boolean durable) {
        return new FileTransfer(this, true, buffer, offset, durable ? linux_h.RWF_DSYNC() : 0).assembled();
    }

    /**
     * Reads into several buffers, one after another, {@code preadv(2)}.
     *
     * @param buffers 1 to 1024
     * @param offset in the file, in bytes
     * @return how many bytes were read: less than asked for near the end of the file, 0 at it
     */
    public Mono<Integer> readv(List<IoBuffer.Segment> buffers, long offset) {
        return new FileVectoredTransfer(this, false, buffers, offset).assembled();
    }

    /**
     * Writes several buffers, one after another, {@code pwritev(2)}.
     *
     * @param buffers 1 to 1024
     * @param offset in the file, in bytes
     * @return how many bytes were written, which may be less
     */
    public Mono<Integer> writev(List<IoBuffer.Segment> buffers, long offset) {
        return new FileVectoredTransfer(this, true, buffers, offset).assembled();
    }

    /** Makes every write that has completed durable, {@code fsync(2)}. Says nothing of writes still under way. */
    public Mono<Void> sync() {
        return new FileSync(this, false).assembled();
    }

    /** {@link #sync}, less what is not needed to find the data again, such as times: {@code fdatasync(2)}. */
    public Mono<Void> dataSync() {
        return new FileSync(this, true).assembled();
    }

    /**
     * Gives a range back to the file system; it reads as zeroes. The size stays. {@code FALLOC_FL_PUNCH_HOLE} of
     * {@code fallocate(2)}; {@code EOPNOTSUPP} where it is not known.
     *
     * @param offset in bytes
     * @param length in bytes, at least 1
     */
    public Mono<Void> punchHole(long offset, long length) {
        return new FileAllocation(this, FileAllocation.Mode.PUNCH_HOLE, offset, length).assembled();
    }

    /**
     * Makes a range read as zeroes without writing them, and keeps its blocks. The size stays.
     * {@code FALLOC_FL_ZERO_RANGE} of {@code fallocate(2)}; {@code EOPNOTSUPP} where it is not known, as on tmpfs.
     *
     * @param offset in bytes
     * @param length in bytes, at least 1
     */
    public Mono<Void> zeroRange(long offset, long length) {
        return new FileAllocation(this, FileAllocation.Mode.ZERO_RANGE, offset, length).assembled();
    }

    /**
     * Makes sure that writes to a range will find space; the file grows if the range ends behind it. {@code fallocate(2)}.
     *
     * @param offset in bytes
     * @param length in bytes, at least 1
     */
    public Mono<Void> allocate(long offset, long length) {
        return new FileAllocation(this, FileAllocation.Mode.ALLOCATE, offset, length).assembled();
    }

    /**
     * Forgets what the page cache keeps of the file, but for what is dirty, so that it will be read from the disk again:
     * {@code POSIX_FADV_DONTNEED} of {@code posix_fadvise(2)}. That is the way to what the disk really holds after a failed
     * {@link #sync}: until then Linux takes what it could not write for clean. It is advice only. Pages that others have mapped,
     * or use at the moment, stay.
     */
    public Mono<Void> dropCache() {
        return new FileAdvice(this, linux_h.POSIX_FADV_DONTNEED()).assembled();
    }

    /** What the file is now, {@code statx(2)}. */
    public Mono<FileStatus> status() {
        return new FileStatusQuery(this).assembled();
    }

    /**
     * Closes the file, {@code close(2)}, once what is under way has ended. Operations requested later are refused. Does not
     * sync. Cancelling has no effect; closing again waits for the same end. Also works on a disposed loop.
     */
    public Mono<Void> close() {
        return whenClosed.asMono().doOnRequest(n -> requestClose());
    }

    private void requestClose() {
        try {
            loop.execute(this::closeOnLoop);
        } catch (RejectedExecutionException e) {
            afterLoop(this::closeOnLoop);
        }
    }

    void closeOnLoop() {
        if (STATE.compareAndSet(this, OPEN, CLOSING)) closeIfIdle();
    }

    /** A descriptor's number is used again at once: none of our operations may be on its way when it is given back. */
    private void closeIfIdle() {
        if (inFlight > 0 || !STATE.compareAndSet(this, CLOSING, CLOSED)) return;
        if (borrowed) {
            giveBack();
            return;
        }
        if (loop.isDisposed()) {
            afterLoop(this::closeDirectly);
            return;
        }
        try {
            loop.ring().stage(this::onClosed).close(fd);
        } catch (RuntimeException e) {
            closeDirectly();
        }
    }

    /** A turn later, as a close by the kernel is: whose operation was the last has not heard of its end yet. */
    private void giveBack() {
        free();
        try {
            loop.schedule(whenClosed::tryEmitEmpty);
        } catch (RejectedExecutionException e) {
            whenClosed.tryEmitEmpty();                                 // a loop that ends takes no more tasks
        }
    }

    private void onClosed(int result, int flags) {
        if (result == Errno.ECANCELED.result()) {                      // a loop that ends cancels all: it is still open
            closeDirectly();
        } else if (result < 0) {
            free();
            whenClosed.tryEmitError(new KernelException("close " + path, Errno.of(result)));
        } else {
            free();
            whenClosed.tryEmitEmpty();
        }
    }

    private void closeDirectly() {
        free();
        try {
            loop.kernel().close(fd);
            whenClosed.tryEmitEmpty();
        } catch (RuntimeException e) {
            whenClosed.tryEmitError(e);
        }
    }

    /** The loop waits for all operations, so after it there are none. */
    private void afterLoop(Runnable task) {
        loop.disposeGracefully().subscribe(nothing -> {}, e -> task.run(), task);
    }

    /** An operation starts. On the loop; whatever is thrown, the subscriber hears. */
    void begin() {
        if (loop.isDisposed()) throw FileMono.rejected(this);
        if (state != OPEN) throw new IllegalStateException(path + " is closed");
        inFlight++;
    }

    /** An operation that began has ended. */
    void ended(FileOperation<?> operation) {
        if (operation.scratch != null) {
            scratches.push(operation.scratch);
            operation.scratch = null;
        }
        inFlight--;
        closeIfIdle();
    }

    MemorySegment takeScratch() {
        return scratches.isEmpty() ? loop.kernel().allocate(SCRATCH_BYTES, arena) : scratches.pop();
    }

    UringFile opened(int fd) {
        this.fd = fd;
        return this;
    }

    /** Unmaps what operations used. After the last of them. */
    void free() {
        arena.close();
    }

    int fd() {
        return fd;
    }

    int flags() {
        return flags;
    }

    static void checkOffset(long offset) {
        // -1 would mean "where the last read ended", a state that one of many concurrent operations must not have.
        if (offset < 0) throw new IllegalArgumentException("offset " + offset + " is negative");
    }

    @Override
    public String toString() {
        return "UringFile(" + path + ")";
    }
}
