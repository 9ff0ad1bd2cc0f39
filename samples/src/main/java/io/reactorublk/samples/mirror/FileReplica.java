package io.reactorublk.samples.mirror;

import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.WRITE;

import io.reactorublk.BlockRequest;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.EventLoop;
import io.reactorublk.uring.IoBuffer;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.UringFile;
import io.reactorublk.uring.UringOpenOption;
import java.lang.foreign.Arena;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * A replica in a file: a {@link ReplicaHeader header} area, then the data.
 */
public final class FileReplica implements Replica {

    private static final int ZEROES_BYTES = 256 << 10;

    private final UringFile file;
    private final Arena arena = Arena.ofShared();
    private @Nullable IoBuffer zeroes;

    private FileReplica(UringFile file) {
        this.file = file;
    }

    /**
     * Opens a replica's file on a loop.
     *
     * @param direct whether to go past the page cache
     */
    public static Mono<FileReplica> open(EventLoop loop, Path path, boolean direct) {
        OpenOption[] options = direct ? new OpenOption[] {READ, WRITE, UringOpenOption.DIRECT} : new OpenOption[] {READ, WRITE};
        return UringFile.open(loop, path, options).map(FileReplica::new);
    }

    /**
     * Makes sure that what is read from now on is on the disk. A server before us may have failed to write some of it, and
     * who reads that in the page cache, where it is called clean, would answer for it in vain.
     */
    Mono<Void> readFromDisk() {
        return file.sync().then(file.dropCache());
    }

    @Override
    public Mono<Void> transfer(BlockRequest request) {
        return request.transfer(file, ReplicaHeader.DATA_OFFSET + request.offset(), 0, (int) request.length());
    }

    @Override
    public Mono<Void> read(IoBuffer buffer, long offset) {
        return file.read(buffer, ReplicaHeader.DATA_OFFSET + offset).flatMap(count -> {
            if (count == buffer.length()) return Mono.empty();
            if (count == 0) return Mono.error(nothingDone("read", offset, "The file has become shorter"));
            return read(buffer.slice(count, buffer.length() - count), offset + count);
        });
    }

    @Override
    public Mono<Void> write(IoBuffer buffer, long offset, boolean durable) {
        return file.write(buffer, ReplicaHeader.DATA_OFFSET + offset, durable).flatMap(count -> {
            if (count == buffer.length()) return Mono.empty();
            if (count == 0) return Mono.error(nothingDone("write", offset, ""));
            return write(buffer.slice(count, buffer.length() - count), offset + count, durable);
        });
    }

    private KernelException nothingDone(String call, long offset, String hint) {
        return new KernelException(call + " " + file.path() + " at " + offset, Errno.EIO, hint);
    }

    @Override
    public Mono<Void> flush() {
        return file.dataSync();
    }

    @Override
    public Mono<Void> discard(long offset, long length) {
        return orZeroes(file.punchHole(ReplicaHeader.DATA_OFFSET + offset, length), offset, length);
    }

    @Override
    public Mono<Void> zero(long offset, long length, boolean keepAllocated) {
        return keepAllocated
                ? orZeroes(file.zeroRange(ReplicaHeader.DATA_OFFSET + offset, length), offset, length)
                : discard(offset, length);
    }

    /** Not every file system knows every kind of fallocate, and each replica may be on another one. */
    private Mono<Void> orZeroes(Mono<Void> allocation, long offset, long length) {
        return allocation.onErrorResume(e -> Errno.of(e) == Errno.EOPNOTSUPP ? writeZeroes(offset, length) : Mono.error(e));
    }

    private Mono<Void> writeZeroes(long offset, long length) {
        long pieces = (length + ZEROES_BYTES - 1) / ZEROES_BYTES;
        return Flux.range(0, Math.toIntExact(pieces)).concatMap(i -> {
            long done = (long) i * ZEROES_BYTES;
            return write(zeroes().slice(0, (int) Math.min(ZEROES_BYTES, length - done)), offset + done, false);
        }, 1).then();
    }

    private IoBuffer zeroes() {
        IoBuffer made = zeroes;
        if (made == null) zeroes = made = IoBuffer.of(file.loop().kernel().allocate(ZEROES_BYTES, arena));
        return made;
    }

    @Override
    public Mono<Void> close() {
        return file.close().doOnTerminate(arena::close);
    }

    @Override
    public String toString() {
        return file.path().toString();
    }
}
