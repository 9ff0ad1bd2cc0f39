package io.reactorublk.samples.mirror;

import static java.nio.file.StandardOpenOption.READ;

import io.reactorublk.uring.Errno;
import io.reactorublk.uring.EventLoop;
import io.reactorublk.uring.IoBuffer;
import io.reactorublk.uring.UringFile;
import io.reactorublk.uring.UringOpenOption;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.concurrent.ExecutionException;
import java.util.zip.CRC32C;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** The CRC-32C of each MiB of a range, read past the page cache where that is possible: what is on the disk counts. */
final class Checksums {

    private static final int CHUNK = 1 << 20;
    private static final int AT_A_TIME = 4;

    private Checksums() {}

    static long[] of(Path path, long offset, long length) throws IOException, InterruptedException {
        EventLoop loop = EventLoop.start("checksums");
        try (Arena arena = Arena.ofShared()) {
            ArrayDeque<IoBuffer> buffers = new ArrayDeque<>();         // on the loop
            for (int i = 0; i < AT_A_TIME; i++) buffers.add(IoBuffer.of(loop.kernel().allocate(CHUNK, arena)));
            long[] sums = new long[Math.toIntExact((length + CHUNK - 1) / CHUNK)];
            Mono<Void> all = Mono.usingWhen(open(loop, path),
                    file -> Flux.range(0, sums.length).flatMap(i -> {
                        long start = (long) i * CHUNK;
                        int chunk = (int) Math.min(CHUNK, length - start);
                        IoBuffer buffer = buffers.remove();
                        return readAll(file, buffer.slice(0, chunk), offset + start).doOnSuccess(nothing -> {
                            sums[i] = crc(buffer, chunk);
                            buffers.add(buffer);
                        });
                    }, AT_A_TIME).then(),
                    UringFile::close);
            try {
                all.subscribeOn(loop).toFuture().get();
                return sums;
            } catch (ExecutionException e) {
                throw new IOException("reading " + path, e.getCause());
            } finally {
                loop.disposeGracefully().block();                      // before the arena: a read may be under way
            }
        }
    }

    private static Mono<UringFile> open(EventLoop loop, Path path) {
        return UringFile.open(loop, path, READ, UringOpenOption.DIRECT)
                .onErrorResume(e -> Errno.of(e) == Errno.EINVAL ? UringFile.open(loop, path, READ) : Mono.error(e));
    }

    private static Mono<Void> readAll(UringFile file, IoBuffer buffer, long offset) {
        return file.read(buffer, offset).flatMap(count -> {
            if (count == buffer.length()) return Mono.empty();
            if (count == 0) return Mono.error(new IOException(file.path() + " ends at " + offset));
            return readAll(file, buffer.slice(count, buffer.length() - count), offset + count);
        });
    }

    private static long crc(IoBuffer buffer, int length) {
        CRC32C crc = new CRC32C();
        crc.update(((IoBuffer.Segment) buffer).memory().asByteBuffer().limit(length));
        return crc.getValue();
    }

    /** Where two ranges differ first, as "MiB 17", or "" if they do not. */
    static String firstDifference(long[] some, long[] others) {
        int at = Arrays.mismatch(some, others);
        return at < 0 ? "" : "MiB " + at;
    }
}
