package io.reactorublk.uring;

import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.WRITE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** Reading and writing a file. */
abstract class FileContract extends FileHarness {

    @Test
    void aReadFillsTheBuffer() {
        UringFile file = fileWith("0123456789");
        IoBuffer.Segment buffer = buffer(4);
        assertThat(read(file, buffer, 3)).isEqualTo(4);
        assertThat(text(buffer)).isEqualTo("3456");
    }

    @Test
    void aReadNearTheEndIsShort() {
        assertThat(read(fileWith("0123456789"), buffer(100), 7)).isEqualTo(3);
    }

    @Test
    void aReadAtTheEndIsZero() {
        UringFile file = fileWith("0123456789");
        assertThat(read(file, buffer(4), 10)).isZero();
        assertThat(read(file, buffer(4), 1 << 20)).isZero();
    }

    @Test
    void aWriteChangesTheFileWhereItSays() {
        UringFile file = fileWith("0123456789");
        assertThat(write(file, buffer("abc"), 4)).isEqualTo(3);
        assertThat(content(file)).isEqualTo("0123abc789");
    }

    @Test
    void aWriteBehindTheEndMakesTheFileLonger() {
        UringFile file = fileWith("01");
        write(file, buffer("x"), 4);
        assertThat(content(file)).isEqualTo("01\0\0x");
    }

    @Test
    void aDurableWriteWrites() {
        UringFile file = fileWith("0123456789");
        int written = world.get(file.write(buffer("abc"), 0, true));
        assertThat(written).isEqualTo(3);
        assertThat(content(file)).isEqualTo("abc3456789");
    }

    @Test
    void aSliceIsReadAndWrittenAlone() {
        UringFile file = fileWith("0123456789");
        IoBuffer.Segment buffer = buffer("abcdef");
        write(file, buffer.slice(1, 2), 0);
        read(file, buffer.slice(4, 2), 8);
        assertThat(content(file)).isEqualTo("bc23456789");
        assertThat(text(buffer)).isEqualTo("abcd89");
    }

    @Test
    void manyMebibytesGoInOneWrite() {
        int length = 5 * (1 << 20) + 123;
        UringFile file = fileWith("");
        IoBuffer.Segment out = buffer(length);
        for (int i = 0; i < length; i += 97) out.memory().set(ValueLayout.JAVA_BYTE, i, (byte) (i / 97));
        assertThat(write(file, out, 0)).isEqualTo(length);
        IoBuffer.Segment in = buffer(length);
        assertThat(read(file, in, 0)).isEqualTo(length);
        assertThat(in.memory().mismatch(out.memory())).isEqualTo(-1);
    }

    @Test
    void offsetsGoBeyondFourGibibytes() {
        UringFile file = fileWith("");
        long far = (5L << 30) + 1;
        write(file, buffer("far"), far);
        IoBuffer.Segment buffer = buffer(3);
        read(file, buffer, far);
        assertThat(text(buffer)).isEqualTo("far");
        assertThat(world.get(file.status()).size()).isEqualTo(far + 3);
    }

    @Test
    void aRegisteredBufferIsAsGoodAsAnyOther() {
        UringFile file = fileWith("0123456789");
        MemorySegment memory = memory(4096);
        IoBuffer.Fixed fixed = world.get(Mono.fromCallable(() -> {
            loop.ring().registerBuffers(1);
            return loop.ring().updateBuffer(0, memory);
        }).subscribeOn(loop));
        read(file, fixed.slice(0, 5), 0);
        write(file, fixed.slice(0, 5), 5);
        assertThat(content(file)).isEqualTo("0123401234");
    }

    @Test
    void severalBuffersAreReadAndWrittenAsOne() {
        UringFile file = fileWith("0123456789");
        List<IoBuffer.Segment> buffers = List.of(buffer(3), buffer(1), buffer(4));
        int read = world.get(file.readv(buffers, 1));
        assertThat(read).isEqualTo(8);
        assertThat(buffers).extracting(KernelContract::text).containsExactly("123", "4", "5678");
        int written = world.get(file.writev(List.of(buffer("ab"), buffer("cde")), 0));
        assertThat(written).isEqualTo(5);
        assertThat(content(file)).isEqualTo("abcde56789");
    }

    @Test
    void aThousandAndTwentyFourBuffersArePossibleAndNoMore() {
        UringFile file = fileWith("");
        List<IoBuffer.Segment> most = Collections.nCopies(1024, buffer("x"));
        int written = world.get(file.writev(most, 0));
        assertThat(written).isEqualTo(1024);
        assertThatThrownBy(() -> file.writev(Collections.nCopies(1025, most.getFirst()), 0))
                .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("1025");
        assertThatThrownBy(() -> file.readv(List.of(), 0)).isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void vectoredOperationsAtTheSameTimeDoNotDisturbEachOther() {
        UringFile file = fileWith("");
        List<Mono<Integer>> writes = IntStream.range(0, 64)
                .mapToObj(i -> file.writev(List.of(buffer("" + (char) ('0' + i)), buffer(".")), 2L * i)).toList();
        world.get(Flux.merge(writes).then().subscribeOn(loop));
        StringBuilder expected = new StringBuilder();
        for (int i = 0; i < 64; i++) expected.append((char) ('0' + i)).append('.');
        assertThat(content(file)).isEqualTo(expected.toString());
    }

    @Test
    void aMonoIsOneOperationForEachSubscription() {
        UringFile file = fileWith("abc");
        IoBuffer.Segment buffer = buffer(3);
        Mono<Integer> read = file.read(buffer, 0);
        world.get(read);
        write(file, buffer("xyz"), 0);
        assertThat(text(buffer)).isEqualTo("abc");
        world.get(read);
        assertThat(text(buffer)).isEqualTo("xyz");
    }

    @Test
    void resultsArriveOnTheLoop() {
        UringFile file = fileWith("abc");
        boolean inLoop = world.get(file.read(buffer(3), 0).map(n -> loop.inLoop()));
        assertThat(inLoop).isTrue();
    }

    @Test
    void anOperationCostsNoSystemCallOfItsOwn() {
        UringFile file = fileWith("abc");
        List<Mono<Integer>> reads = Collections.nCopies(5, file.read(buffer(3), 0));
        AtomicLong enters = new AtomicLong(-1);
        AtomicReference<Signals<List<Integer>>> results = new AtomicReference<>();
        onLoop(() -> {
            long before = loop.ring().enters();
            results.set(subscribe(Flux.merge(reads).collectList()));
            enters.set(loop.ring().enters() - before);
        });
        assertThat(enters).as("staged, to leave with the turn").hasValue(0);
        world.await(() -> results.get().heard.size() == 2);
        assertThat(results.get().heard.getFirst()).isEqualTo(List.of(3, 3, 3, 3, 3));
    }

    @Test
    void aThousandOperationsFromManyThreadsAllEnd() {
        UringFile file = fileWith("");
        long written = world.get(Flux.range(0, 1000)
                .flatMap(i -> file.write(buffer("x"), i).subscribeOn(reactor.core.scheduler.Schedulers.parallel()), 100)
                .reduce(0, Integer::sum));
        assertThat(written).isEqualTo(1000);
        assertThat(content(file)).isEqualTo("x".repeat(1000));
    }

    @Test
    void aFileOpenedForReadingRefusesWrites() {
        UringFile file = open(world.file(bytes("abc")), READ);
        assertRefused(Errno.EBADF, file.write(buffer("x"), 42))
                .hasMessageContaining("write " + file.path() + " at 42").hasMessageContaining("for reading only");
        assertRefused(Errno.EBADF, file.punchHole(0, 1)).hasMessageContaining("not opened with WRITE");
    }

    @Test
    void aFileOpenedForWritingRefusesReads() {
        UringFile file = open(world.file(bytes("abc")), WRITE);
        assertRefused(Errno.EBADF, file.read(buffer(1), 0)).hasMessageContaining("for writing only");
    }

    @Test
    void aDirectoryCannotBeRead() {
        UringFile directory = open(world.directory(), READ);
        assertRefused(Errno.EISDIR, directory.read(buffer(1), 0)).hasMessageContaining("It is a directory");
    }

    @Test
    void aNegativeOffsetIsRefusedAtOnce() {
        UringFile file = fileWith("abc");
        assertThatThrownBy(() -> file.read(buffer(1), -1))
                .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("-1");
        assertThatThrownBy(() -> file.writev(List.of(buffer(1)), -1)).isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void memoryOnTheHeapIsRefusedAtOnce() {
        assertThatThrownBy(() -> IoBuffer.of(MemorySegment.ofArray(new byte[8])))
                .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("heap");
    }

    @Test
    void memoryThatIsGoneIsNotHandedToTheKernel() {
        UringFile file = fileWith("abc");
        IoBuffer.Segment gone;
        try (Arena brief = Arena.ofShared()) {
            gone = new IoBuffer.Segment(kernel().allocate(16, brief));
        }
        assertThatThrownBy(() -> world.get(file.read(gone, 0))).isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(() -> world.get(file.readv(List.of(gone), 0))).isInstanceOf(IllegalStateException.class);
        assertThat(read(file, buffer(3), 0)).as("the file goes on").isEqualTo(3);
    }
}
