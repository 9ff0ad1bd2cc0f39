package io.reactorublk.uring;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Mono;

/**
 * Who is told when the kernel could not write back what it had taken: every open file, once (fsync(2), and
 * {@code lib/errseq.c}). Two that sync one open file at the same time are told once between them.
 */
public abstract class FailedSyncContract {

    /** The value of a Mono, or null if it completes empty; throws its error. */
    protected abstract <T> T get(Mono<T> mono);

    /** Opens the one file of this test again, for reading and writing. */
    protected abstract UringFile open();

    /** The memory of a page. */
    protected abstract MemorySegment page();

    /** What is written back next cannot be. */
    protected abstract void breakOnce();

    private IoBuffer filled(int value) {
        return IoBuffer.of(page().fill((byte) value));
    }

    private void write(UringFile file) {
        IoBuffer page = filled('x');
        assertThat(get(file.write(page, 0))).isEqualTo(page.length());
    }

    private void assertFails(Mono<?> mono) {
        assertThatThrownBy(() -> get(mono)).isInstanceOfSatisfying(KernelException.class,
                e -> assertThat(e.errno()).isEqualTo(Errno.EIO));
    }

    @Test
    void everyOpenFileIsToldOnce() {
        UringFile writer = open();
        UringFile other = open();
        write(writer);
        breakOnce();
        assertFails(writer.sync());
        get(writer.sync());
        assertFails(other.dataSync());
        get(other.dataSync());
    }

    @Test
    void whoOpensLaterIsNotToldOfWhatOthersKnow() {
        UringFile writer = open();
        write(writer);
        breakOnce();
        assertFails(writer.sync());
        get(open().sync());
    }

    @Test
    void aDurableWriteIsTold() {
        UringFile writer = open();
        UringFile other = open();
        write(writer);
        breakOnce();
        assertFails(writer.sync());
        assertFails(other.write(filled('y'), page().byteSize(), true));
        get(other.sync());
    }

    /** Until the cache is dropped: the disk has something else. */
    @Test
    void whatCouldNotBeWrittenCanStillBeRead() {
        UringFile writer = open();
        write(writer);
        get(writer.sync());
        assertThat(get(writer.write(filled('y'), 0))).isPositive();
        breakOnce();
        assertFails(writer.sync());
        assertThat(firstByte(writer)).isEqualTo('y');
        get(writer.dropCache());
        assertThat(firstByte(writer)).isEqualTo('x');
    }

    private int firstByte(UringFile file) {
        MemorySegment found = page();
        assertThat(get(file.read(IoBuffer.of(found), 0))).isEqualTo((int) found.byteSize());
        assertThat(found.mismatch(page().fill(found.get(JAVA_BYTE, 0)))).as("all alike").isEqualTo(-1);
        return found.get(JAVA_BYTE, 0);
    }
}
