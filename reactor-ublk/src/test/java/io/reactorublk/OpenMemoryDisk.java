package io.reactorublk;

import io.reactorublk.memory.MemoryDisk;
import io.reactorublk.uring.KernelException;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;
import reactor.core.Disposable;
import reactor.core.publisher.Mono;

/** A disk in memory. Like a file, it stays open from its first use to its end. */
final class OpenMemoryDisk implements Disk {

    private final MemoryDisk disk;
    private @Nullable Disposable open;

    OpenMemoryDisk(MemoryDisk disk) {
        this.disk = disk;
    }

    @Override
    public CompletableFuture<byte[]> read(long offset, int length) {
        return start("read", disk.read(offset, length));
    }

    @Override
    public CompletableFuture<Void> write(long offset, byte[] bytes) {
        return start("write", disk.write(offset, bytes));
    }

    @Override
    public CompletableFuture<Void> read(long offset, MemorySegment into) {
        return start("read", disk.read(offset, into).then());
    }

    @Override
    public CompletableFuture<Void> write(long offset, MemorySegment from) {
        return start("write", disk.write(offset, from));
    }

    @Override
    public CompletableFuture<Void> writeDurably(long offset, byte[] bytes) {
        return start("durable write", disk.writeDurably(offset, bytes));
    }

    @Override
    public CompletableFuture<Void> flush() {
        return start("flush", disk.flush());
    }

    @Override
    public CompletableFuture<Void> discard(long offset, long length) {
        return start("discard", disk.discard(offset, length));
    }

    @Override
    public CompletableFuture<Void> punch(long offset, long length) {
        return start("punch", disk.punchHole(offset, length));
    }

    @Override
    public CompletableFuture<Void> zero(long offset, long length) {
        return start("zero", disk.writeZeroes(offset, length));
    }

    private <T> CompletableFuture<T> start(String name, Mono<T> operation) {
        if (open == null && !disk.isGone()) open = disk.open();
        return operation.onErrorMap(KernelException.class, e -> new Failure(e.errno(), name)).toFuture();
    }

    @Override
    public void close() {
        if (open != null) open.dispose();
        open = null;
    }
}
