package io.reactorublk;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.WRITE;
import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.uring.EventLoop;
import io.reactorublk.uring.IoBuffer;
import io.reactorublk.uring.RingConfig;
import io.reactorublk.uring.UringFile;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.BiFunction;
import java.util.function.Function;
import org.junit.jupiter.api.AfterEach;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** Devices of every {@link DataMode}, with files and memory for their bytes. */
abstract class DataModeHarness extends DeviceContract {

    /** What of the device a test may use. */
    static final int AREA = 1 << 20;

    private final Arena arena = Arena.ofShared();
    private final List<EventLoop> loops = new ArrayList<>();
    private final List<UringFile> files = new ArrayList<>();

    @AfterEach
    final void freeWhatATestUsed() {
        disposeDevices();
        for (UringFile file : files) fixture.get(file.close());
        for (EventLoop loop : loops) fixture.get(loop.disposeGracefully());
        arena.close();
    }

    final UblkServer server(DataMode mode, BlockTarget target) {
        return server(target).dataMode(mode);
    }

    final Disk disk(DataMode mode, BlockTarget target) {
        return disk(start(server(mode, target)));
    }

    /** Handles the test's own requests so. */
    static BlockTarget target(Function<BlockRequest, Mono<Completion>> handler) {
        return queue -> queue.answer(request -> isQuiet(request) ? handler.apply(request) : Mono.just(request.complete()));
    }

    /** Handles them so, with a file that each queue opens on its loop. */
    static BlockTarget target(Path path, BiFunction<UringFile, BlockRequest, Mono<Completion>> handler) {
        return queue -> Flux.usingWhen(UringFile.open(queue.loop(), path, READ, WRITE),
                file -> target(request -> handler.apply(file, request)).serve(queue), UringFile::close);
    }

    /** A file of that size. */
    final Path area() {
        return fixture.file(new byte[AREA]);
    }

    /** Writes and reads, and looks into the file. */
    final void assertServes(Disk disk, Path path) {
        byte[] bytes = pattern(MAX_IO, 1);
        write(disk, QUIET + BLOCK, bytes);
        assertThat(Arrays.copyOfRange(fixture.content(path), BLOCK, BLOCK + MAX_IO)).isEqualTo(bytes);
        assertThat(read(disk, QUIET + BLOCK, MAX_IO)).isEqualTo(bytes);
        writeBlocks(disk, 16);
        fixture.get(disk.flush());
        List<CompletableFuture<byte[]>> reads = startReads(disk, 16);
        for (int i = 0; i < 16; i++) assertThat(fixture.get(reads.get(i))).isEqualTo(filled(BLOCK, i));
    }

    /** Writes so many blocks at a time, each with its number. */
    final void writeBlocks(Disk disk, int count) {
        List<CompletableFuture<Void>> writes = new ArrayList<>();
        for (int i = 0; i < count; i++) writes.add(disk.write(place(i), filled(BLOCK, i)));
        writes.forEach(fixture::get);
    }

    /** Where in a file or in memory the bytes of a request are. */
    static long place(BlockRequest request) {
        return request.offset() - QUIET;
    }

    final MemorySegment memory(int bytes) {
        return fixture.kernel().allocate(bytes, arena);
    }

    final MemorySegment memory(byte[] bytes) {
        return memory(bytes.length).copyFrom(MemorySegment.ofArray(bytes));
    }

    static byte[] bytes(MemorySegment memory) {
        return memory.toArray(JAVA_BYTE);
    }

    /** Another loop than the queues'. */
    final EventLoop elsewhere() {
        if (loops.isEmpty()) loops.add(EventLoop.start(fixture.kernel(), "elsewhere", new RingConfig(64, 128, false)));
        return loops.getFirst();
    }

    /** A file on that loop. */
    final UringFile openElsewhere(Path path) {
        UringFile file = fixture.get(UringFile.open(elsewhere(), path, READ, WRITE));
        files.add(file);
        return file;
    }

    final void writePipe(Path pipe, byte[] bytes) {
        if (files.isEmpty()) openElsewhere(pipe);
        fixture.get(files.getFirst().write(IoBuffer.of(memory(bytes)), 0));
    }
}
