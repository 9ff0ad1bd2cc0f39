package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.RawQueue.Delivered;
import io.reactorublk.RawQueue.Element;
import io.reactorublk.abi.ublk_cmd_h;
import io.reactorublk.uring.Errno;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** COMMIT_IO_CMDS: which elements are taken, and what becomes of the requests. */
abstract class DriverCommitContract extends DriverContract {

    private RawQueue queue;
    private Disk disk;

    @BeforeEach
    final void startDevice() {
        int id = add(1, DEPTH);
        queue = queue(open(id), 0, DEPTH);
        start(id, queue, DEPTH);
        disk = disk(id);
    }

    /** One request, delivered: lends a slot for the next. */
    private Delivered next() {
        Delivered request = next(queue);
        queue.lend(1);
        return request;
    }

    private List<Delivered> next(int count) {
        List<Delivered> requests = new ArrayList<>();
        for (int i = 0; i < count; i++) requests.add(next());
        return requests;
    }

    private void commit(Element element) {
        assertThat(resultOf(queue.commit(element))).isEqualTo(RawQueue.ELEMENT_BYTES);
    }

    private void finish(Delivered request) {
        commit(queue.done(request, 7));
    }

    @Test
    void theResultIsTheBytesOfTheElements() {
        List<CompletableFuture<byte[]>> reads = startReads(disk, 3);
        List<Delivered> requests = next(3);
        assertThat(resultOf(queue.commit(queue.done(requests.get(2), 1), queue.done(requests.get(0), 1), queue.done(requests.get(1), 1))))
                .isEqualTo(3 * RawQueue.ELEMENT_BYTES);
        for (CompletableFuture<byte[]> read : reads) assertThat(get(read)).isEqualTo(filled(BLOCK, 1));
    }

    @Test
    void noElementsAreNoError() {
        assertThat(resultOf(queue.commit())).isZero();
    }

    @Test
    void whatIsWrongWithACommandIsWrongWithACommitToo() {
        long elements = queue.write(queue.tags(0, DEPTH + 1)).address();
        assertThat(errnoOf(queue.command(RawQueue.COMMIT, 0, RawQueue.COPY, DEPTH + 1, RawQueue.ELEMENT_BYTES, elements))).isEqualTo(Errno.E2BIG);
        assertThat(errnoOf(queue.command(RawQueue.COMMIT, 1, RawQueue.COPY, 1, RawQueue.ELEMENT_BYTES, elements))).isEqualTo(Errno.EINVAL);
        assertThat(errnoOf(queue.command(RawQueue.COMMIT, 0, 0, 1, RawQueue.ELEMENT_BYTES, elements))).isEqualTo(Errno.EINVAL);
        assertThat(errnoOf(queue.command(RawQueue.COMMIT, 0, RawQueue.COPY, 1, RawQueue.ELEMENT_BYTES, NOWHERE))).isEqualTo(Errno.EFAULT);
    }

    @Test
    void aTagThatTheServerDoesNotHaveIsBusy() {
        assertThat(errnoOf(queue.commit(queue.element(0, BLOCK)))).isEqualTo(Errno.EBUSY);
    }

    @Test
    void aTagThatIsNotThereIsRefused() {
        assertThat(errnoOf(queue.commit(queue.element(DEPTH, BLOCK)))).isEqualTo(Errno.EINVAL);
    }

    @Test
    void aTagIsAnsweredOnce() {
        CompletableFuture<byte[]> read = disk.read(QUIET, BLOCK);
        Delivered request = next();
        finish(request);
        assertThat(errnoOf(queue.commit(queue.element(request.tag(), BLOCK)))).isEqualTo(Errno.EBUSY);
        assertThat(get(read)).isEqualTo(filled(BLOCK, 7));
    }

    @Test
    void aTagIsAnsweredOnceInOneCommandToo() {
        List<CompletableFuture<byte[]>> reads = startReads(disk, 2);
        List<Delivered> requests = next(2);
        Element first = queue.done(requests.get(0), 5);
        Element second = queue.done(requests.get(1), 5);
        assertThat(resultOf(queue.commit(first, first, second))).isEqualTo(RawQueue.ELEMENT_BYTES);
        assertThat(errnoOf(queue.commit(first, second))).as("what is left of it").isEqualTo(Errno.EBUSY);
        commit(second);
        for (CompletableFuture<byte[]> read : reads) get(read);
    }

    @Test
    void elementsBeforeTheFirstWrongOneAreTakenForGood() {
        List<CompletableFuture<byte[]>> reads = startReads(disk, 3);
        List<Delivered> requests = next(3);
        Element wrong = queue.element(DEPTH, BLOCK);
        Element last = queue.done(requests.get(2), 3);
        assertThat(resultOf(queue.commit(queue.done(requests.get(0), 3), queue.done(requests.get(1), 3), wrong, last)))
                .isEqualTo(2 * RawQueue.ELEMENT_BYTES);
        await(() -> reads.stream().filter(CompletableFuture::isDone).count() == 2);
        assertThat(errnoOf(queue.commit(wrong, last))).as("what is left of it").isEqualTo(Errno.EINVAL);
        commit(last);
        for (CompletableFuture<byte[]> read : reads) assertThat(get(read)).isEqualTo(filled(BLOCK, 3));
    }

    @Test
    void aTagNeedsMemoryForItsNextRequest() {
        CompletableFuture<byte[]> read = disk.read(QUIET, BLOCK);
        Delivered request = next();
        assertThat(errnoOf(queue.commit(new Element(request.tag(), BLOCK, 0)))).isEqualTo(Errno.EINVAL);
        finish(request);
        assertThat(get(read)).isEqualTo(filled(BLOCK, 7));
    }

    @Test
    void aTagThatTheServerDoesNotHaveIsBusyEvenWithoutMemory() {
        assertThat(errnoOf(queue.commit(new Element(0, BLOCK, 0)))).isEqualTo(Errno.EBUSY);
    }

    /** Perhaps under another tag: a scheduler gives it one anew. */
    @Test
    void theRestOfAReadThatWasShortComesAgain() {
        CompletableFuture<byte[]> read = disk.read(QUIET, 3 * BLOCK);
        Delivered request = next();
        assertThat(request.length()).isEqualTo(3 * BLOCK);
        queue.memory(request.tag()).fill((byte) 1);
        commit(queue.element(request.tag(), BLOCK));
        Delivered rest = next();
        assertThat(rest).usingRecursiveComparison().ignoringFields("tag", "flags", "address").isEqualTo(new Delivered(0, ublk_cmd_h.UBLK_IO_OP_READ(), QUIET + BLOCK, 2 * BLOCK, 0, 0));
        commit(queue.done(rest, 2));
        byte[] expected = filled(3 * BLOCK, 2);
        Arrays.fill(expected, 0, BLOCK, (byte) 1);
        assertThat(get(read)).isEqualTo(expected);
    }

    @Test
    void theRestOfAWriteThatWasShortComesAgain() {
        byte[] bytes = filled(2 * BLOCK, 1);
        Arrays.fill(bytes, BLOCK, 2 * BLOCK, (byte) 2);
        CompletableFuture<Void> write = disk.write(QUIET, bytes);
        Delivered request = next();
        commit(queue.element(request.tag(), BLOCK));
        Delivered rest = next();
        assertThat(rest).usingRecursiveComparison().ignoringFields("tag", "flags", "address").isEqualTo(new Delivered(0, ublk_cmd_h.UBLK_IO_OP_WRITE(), QUIET + BLOCK, BLOCK, 0, 0));
        assertThat(queue.memory(rest.tag()).asSlice(0, BLOCK).toArray(ValueLayout.JAVA_BYTE)).isEqualTo(filled(BLOCK, 2));
        commit(queue.element(rest.tag(), BLOCK));
        get(write);
    }

    /** What is left is counted in sectors, whatever the blocks of the device. */
    @Test
    void theRestMayBeginWithinABlock() {
        CompletableFuture<byte[]> read = disk.read(QUIET, BLOCK);
        Delivered request = next();
        commit(queue.element(request.tag(), 512));
        Delivered rest = next();
        assertThat(rest).usingRecursiveComparison().ignoringFields("tag", "flags", "address").isEqualTo(new Delivered(0, ublk_cmd_h.UBLK_IO_OP_READ(), QUIET + 512, BLOCK - 512, 0, 0));
        finish(rest);
        get(read);
    }

    @Test
    void aRestMayFail() {
        CompletableFuture<byte[]> read = disk.read(QUIET, 2 * BLOCK);
        commit(queue.element(next().tag(), BLOCK));
        commit(queue.element(next().tag(), Errno.EIO.result()));
        assertThat(failureOf(read)).isEqualTo(Errno.EIO);
    }

    @Test
    void aReadOfNothingFails() {
        CompletableFuture<byte[]> read = disk.read(QUIET, BLOCK);
        commit(queue.element(next().tag(), 0));
        assertThat(failureOf(read)).isEqualTo(Errno.EIO);
    }

    /** And again: for ever, if the server goes on like that. */
    @Test
    void aWriteOfNothingIsSentAgain() {
        CompletableFuture<Void> write = disk.write(QUIET, filled(BLOCK, 9));
        Delivered request = next();
        for (int i = 0; i < 5; i++) {
            queue.memory(request.tag()).fill((byte) 0);
            commit(queue.element(request.tag(), 0));
            Delivered again = next();
            assertThat(again).usingRecursiveComparison().ignoringFields("tag", "flags", "address").isEqualTo(request);
            request = again;
            assertThat(queue.memory(request.tag()).asSlice(0, BLOCK).toArray(ValueLayout.JAVA_BYTE)).isEqualTo(filled(BLOCK, 9));
        }
        assertThat(write).isNotDone();
        finish(request);
        get(write);
    }

    @Test
    void aNegativeResultIsAnErrnoOfTheApplication() {
        for (Errno errno : List.of(Errno.EIO, Errno.ENOSPC, Errno.ETIMEDOUT, Errno.EOPNOTSUPP)) {
            CompletableFuture<byte[]> read = disk.read(QUIET, BLOCK);
            commit(queue.element(next().tag(), errno.result()));
            assertThat(failureOf(read)).isEqualTo(errno);
        }
    }

    @Test
    void anErrnoThatTheBlockLayerDoesNotKnowIsEIO() {
        for (Errno errno : List.of(Errno.EACCES, Errno.EFBIG, Errno.EBADF)) {
            CompletableFuture<byte[]> read = disk.read(QUIET, BLOCK);
            commit(queue.element(next().tag(), errno.result()));
            assertThat(failureOf(read)).as("of " + errno).isEqualTo(Errno.EIO);
        }
    }

    @Test
    void aDiscardIsDoneWhateverTheCount() {
        for (int result : new int[] {0, 1, BLOCK}) {
            CompletableFuture<Void> discard = disk.discard(QUIET, 2 * BLOCK);
            Delivered request = next();
            assertThat(request.operation()).isEqualTo(ublk_cmd_h.UBLK_IO_OP_DISCARD());
            assertThat(request.length()).isEqualTo(2 * BLOCK);
            commit(queue.element(request.tag(), result));
            get(discard);
        }
    }

    @Test
    void theAddressOfACommitIsWhereTheNextWriteOfTheTagGoes() {
        for (int tag = 0; tag < DEPTH; tag++) queue.memory(tag).fill((byte) 0);
        List<CompletableFuture<byte[]>> reads = startReads(disk, DEPTH);
        List<Delivered> requests = next(DEPTH);
        long elsewhere = queue.memory(DEPTH).address();
        for (Delivered request : requests) {
            long address = elsewhere + (long) request.tag() * BLOCK;
            commit(new Element(request.tag(), BLOCK, address));
        }
        for (CompletableFuture<byte[]> read : reads) get(read);
        CompletableFuture<Void> write = disk.write(QUIET, filled(BLOCK, 4));
        Delivered request = next();
        assertThat(queue.memory(DEPTH).asSlice((long) request.tag() * BLOCK, BLOCK).toArray(ValueLayout.JAVA_BYTE)).isEqualTo(filled(BLOCK, 4));
        commit(queue.element(request.tag(), BLOCK));
        get(write);
    }

    @Test
    void aReadOutOfMemoryThatIsNotThereFails() {
        CompletableFuture<byte[]> read = disk.read(QUIET, BLOCK);
        commit(new Element(next().tag(), BLOCK, NOWHERE));
        await(() -> read.isDone() || !queue.delivered.isEmpty());
        assertThat(queue.delivered).isEmpty();
        assertThat(failureOf(read)).isEqualTo(Errno.EIO);
    }

    /** Only the end of its server ends it. */
    @Test
    void aWriteIntoMemoryThatIsNotThereIsNotDelivered() {
        List<CompletableFuture<byte[]>> reads = startReads(disk, DEPTH);
        for (Delivered request : next(DEPTH)) {
            queue.memory(request.tag()).fill((byte) 0);
            commit(new Element(request.tag(), Errno.EIO.result(), NOWHERE));
        }
        for (CompletableFuture<byte[]> read : reads) assertThat(failureOf(read)).isEqualTo(Errno.EIO);
        CompletableFuture<Void> write = disk.write(QUIET, filled(BLOCK, 4));
        settle();
        assertThat(queue.delivered).isEmpty();
        assertThat(write).isNotDone();
        close(queue.ring());
        closeAll();
        assertThat(failureOf(write)).isEqualTo(Errno.EIO);
    }

    @Test
    void anotherRingMayCommit() {
        CompletableFuture<byte[]> read = disk.read(QUIET, BLOCK);
        Delivered request = next();
        RawQueue other = another(queue);
        assertThat(resultOf(other.commit(queue.done(request, 6)))).isEqualTo(RawQueue.ELEMENT_BYTES);
        assertThat(get(read)).isEqualTo(filled(BLOCK, 6));
    }
}
