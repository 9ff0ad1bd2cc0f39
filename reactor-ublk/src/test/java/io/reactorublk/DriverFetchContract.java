package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.RawQueue.Delivered;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.RingConfig;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;

/** FETCH_IO_CMDS: which tags come where, and how it ends. */
abstract class DriverFetchContract extends DriverContract {

    private int id;
    private RawQueue queue;
    private Answer fetch;
    private Disk disk;

    private void open() {
        id = add(1, DEPTH);
        queue = queue(open(id), 0, DEPTH);
    }

    private void serve(int slots) {
        open();
        fetch = start(id, queue, slots);
        disk = disk(id);
    }

    @Test
    void withoutLentMemoryAFetchIsRefused() {
        open();
        assertThat(errnoOf(queue.command(RawQueue.FETCH, 0, 0, 0, FetchBuffer.SLOT, 0))).isEqualTo(Errno.EINVAL);
    }

    @Test
    void whatIsWrongWithAFetchIsRefused() {
        open();
        assertThat(errnoOf(queue.fetch(1, 0, FetchBuffer.SLOT))).as("queue").isEqualTo(Errno.EINVAL);
        assertThat(errnoOf(queue.fetch(0, RawQueue.COPY, FetchBuffer.SLOT))).as("flags").isEqualTo(Errno.EINVAL);
        assertThat(errnoOf(queue.fetch(0, 0, RawQueue.ELEMENT_BYTES))).as("size of a tag").isEqualTo(Errno.EINVAL);
    }

    @Test
    void aFetchMayComeBeforeTheTagsArePrepared() {
        open();
        queue.lend(DEPTH);
        fetch = queue.fetch();
        settle();
        assertThat(fetch.isThere()).isFalse();
        assertThat(resultOf(queue.prepare(queue.allTags()))).isZero();
        assertThat(resultOf(control.send(START, id, PID))).isZero();
        disk = disk(id);
        CompletableFuture<byte[]> read = disk.read(QUIET, BLOCK);
        await(() -> !queue.delivered.isEmpty());
        answerAll(queue, 1);
        assertThat(get(read)).isEqualTo(filled(BLOCK, 1));
    }

    /** It is said when the first tag comes. */
    @Test
    void aFetchWithNothingLentWaitsForTheFirstTag() {
        open();
        fetch = queue.fetch();
        settle();
        assertThat(fetch.isThere()).isFalse();
    }

    @Test
    void aFetchWithoutAFreeSlotEndsAndNothingIsLost() {
        serve(DEPTH);
        List<CompletableFuture<byte[]>> first = startReads(disk, DEPTH);
        awaitDelivered(queue, DEPTH);
        settle();
        assertThat(fetch.isThere()).as("all slots are used, but no tag is without one").isFalse();
        answerAll(queue, 1);
        List<CompletableFuture<byte[]>> second = startReads(disk, DEPTH);
        assertThat(errnoOf(fetch)).isEqualTo(Errno.ENOBUFS);
        settle();
        assertThat(queue.delivered).isEmpty();
        queue.lend(DEPTH);
        fetch = queue.fetch();
        awaitDelivered(queue, DEPTH);
        answerAll(queue, 2);
        for (CompletableFuture<byte[]> read : first) assertThat(get(read)).isEqualTo(filled(BLOCK, 1));
        for (CompletableFuture<byte[]> read : second) assertThat(get(read)).isEqualTo(filled(BLOCK, 2));
    }

    @Test
    void asManySlotsAsAreLentAreFilled() {
        serve(DEPTH - 1);
        List<CompletableFuture<byte[]>> reads = startReads(disk, DEPTH);
        assertThat(errnoOf(fetch)).isEqualTo(Errno.ENOBUFS);
        assertThat(queue.delivered).hasSize(DEPTH - 1);
        queue.lend(1);
        queue.fetch();
        awaitDelivered(queue, DEPTH);
        assertThat(queue.delivered).extracting(Delivered::tag).doesNotHaveDuplicates();
        answerAll(queue, 1);
        for (CompletableFuture<byte[]> read : reads) get(read);
    }

    /** One completion for each slot, because each is lent by itself; the queue of completions is full after some of them. */
    @Test
    void aFullCompletionQueueEndsTheFetchAndUsesUpASlotThatItDoesNotTellOf() {
        int depth = 8;
        id = add(1, depth, BLOCK);
        queue = queue(open(id), 0, depth, new RingConfig(4, 4, false));
        fetch = start(id, queue, 1);
        for (int i = 1; i < depth; i++) queue.lend(1);
        disk = disk(id);
        CompletableFuture<byte[]> read = disk.read(QUIET, depth * BLOCK);
        fixture.awaitInFlight(id, depth);                              // all of it waits before we turn
        assertThat(errnoOf(fetch)).isEqualTo(Errno.ENOBUFS);
        int before = queue.delivered.size();
        assertThat(before).isBetween(1, depth - 1);
        assertThat(queue.slots().agrees()).as("whether we know of all slots that are used up").isFalse();
        for (int i = 0; i < depth && queue.delivered.size() < depth; i++) {
            if (fetch.isThere()) {
                queue.slots().rebuild();
                fetch = queue.fetch();
            }
            settle();
        }
        awaitDelivered(queue, depth);
        assertThat(queue.delivered).extracting(Delivered::offset).doesNotHaveDuplicates();
        answerAll(queue, 5);
        assertThat(get(read)).isEqualTo(filled(depth * BLOCK, 5));
    }

    @Test
    void oneCompletionBringsAtMost128Tags() {
        int depth = 256;
        id = add(1, depth, BLOCK);
        queue = queue(open(id), 0, depth);
        start(id, queue, depth);
        disk = disk(id);
        CompletableFuture<byte[]> read = disk.read(QUIET, 200 * BLOCK);
        fixture.awaitInFlight(id, 200);
        awaitDelivered(queue, 200);
        assertThat(queue.mostTags()).isLessThanOrEqualTo(128);
        answerAll(queue, 1);
        get(read);
    }

    @Test
    void theOldestFetchGetsEverything() {
        serve(2 * DEPTH);
        RawQueue younger = another(queue);
        younger.lend(DEPTH);
        younger.fetch();
        for (int round = 1; round <= 2; round++) {
            List<CompletableFuture<byte[]>> reads = startReads(disk, DEPTH);
            awaitDelivered(queue, DEPTH);
            answerAll(queue, round);
            for (CompletableFuture<byte[]> read : reads) get(read);
        }
        assertThat(younger.delivered).isEmpty();
    }

    /** The tags that the dying fetch had no slot for are not passed on: they wait for the next request, or the next fetch. */
    @Test
    void theEndOfAFetchWakesNoOther() {
        serve(2);
        RawQueue younger = another(queue);
        younger.lend(DEPTH);
        younger.fetch();
        List<CompletableFuture<byte[]>> reads = startReads(disk, 3);
        assertThat(errnoOf(fetch)).isEqualTo(Errno.ENOBUFS);
        settle();
        assertThat(queue.delivered).hasSize(2);
        if (younger.delivered.isEmpty()) {                             // else the third read came after the end
            reads.add(disk.read(place(3), BLOCK));
        }
        int expected = reads.size() - 2;
        awaitDelivered(younger, expected);
        answerAll(queue, 1);
        answerAll(younger, 1);
        for (CompletableFuture<byte[]> read : reads) get(read);
    }

    @Test
    void aParkedFetchCannotBeCancelled() {
        open();
        queue.lend(DEPTH);
        fetch = queue.fetch();
        turn();
        Answer cancelled = new Answer();
        queue.ring().stage(cancelled).cancel(queue.fetchId(), 0);
        assertThat(errnoOf(cancelled)).isEqualTo(Errno.ENOENT);
        settle();
        assertThat(fetch.isThere()).isFalse();
    }

    @Test
    void stoppingTheDeviceEndsTheFetch() {
        serve(DEPTH);
        assertThat(resultOf(control.send(STOP, id))).isZero();
        settle();
        if (fetch.isThere()) assertThat(fetch.errno()).isEqualTo(Errno.ENODEV);   // one that is active just then is missed
    }

    @Test
    void noFetchIsArmedAfterAStop() {
        serve(DEPTH);
        assertThat(resultOf(control.send(STOP, id))).isZero();
        assertThat(errnoOf(queue.fetch())).isEqualTo(Errno.ENODEV);
    }

    @Test
    void noFetchIsArmedAfterAStopOfADeviceThatNeverStarted() {
        open();
        queue.lend(DEPTH);
        fetch = queue.fetch();
        turn();
        assertThat(resultOf(control.send(STOP, id))).isZero();
        assertThat(errnoOf(queue.fetch())).isEqualTo(Errno.ENODEV);
        settle();
        if (fetch.isThere()) assertThat(fetch.errno()).isEqualTo(Errno.ENODEV);
    }

    @Test
    void aQueueMayMoveToAnotherRing() {
        serve(1);
        List<CompletableFuture<byte[]>> reads = startReads(disk, 2);
        assertThat(errnoOf(fetch)).isEqualTo(Errno.ENOBUFS);
        RawQueue next = another(queue);
        next.lend(DEPTH);
        next.fetch();
        awaitDelivered(next, 1);
        answerAll(queue, 1);
        close(queue.ring());
        settle();
        answerAll(next, 1);
        for (CompletableFuture<byte[]> read : reads) get(read);
        CompletableFuture<byte[]> another = disk.read(place(5), BLOCK);
        awaitDelivered(next, 1);
        answerAll(next, 8);
        assertThat(get(another)).isEqualTo(filled(BLOCK, 8));
    }
}
