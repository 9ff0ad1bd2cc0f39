package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.abi.ublk_cmd_h;
import io.reactorublk.uring.Errno;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** How a device ends whose server goes without a word, as one does that is killed: rings and files are closed, that is all. */
abstract class DriverEndContract extends DriverContract {

    private int id;
    private int fd;
    private RawQueue queue;
    private Disk disk;
    private Answer fetch;

    @BeforeEach
    final void startDevice() {
        id = add(1, DEPTH);
        fd = open(id);
        queue = queue(fd, 0, DEPTH);
        fetch = start(id, queue, DEPTH);
        disk = disk(id);
    }

    private void serverGoes() {
        unmap();
        close(queue.ring());
        close(fd);
    }

    private void awaitEnd() {
        await(() -> state(id) == ublk_cmd_h.UBLK_S_DEV_DEAD());
    }

    @Test
    void whatTheServerHadFails() {
        List<CompletableFuture<byte[]>> reads = startReads(disk, DEPTH);
        awaitDelivered(queue, DEPTH);
        serverGoes();
        for (CompletableFuture<byte[]> read : reads) assertThat(failureOf(read)).isEqualTo(Errno.EIO);
        awaitEnd();
    }

    @Test
    void whatTheServerNeverSawFailsToo() {
        List<CompletableFuture<byte[]>> reads = startReads(disk, DEPTH + 4);   // four are with the server, four have no tag
        awaitDelivered(queue, DEPTH);
        serverGoes();
        for (CompletableFuture<byte[]> read : reads) assertThat(failureOf(read)).isIn(Errno.EIO, Errno.ENODEV, Errno.ENXIO);
        awaitEnd();
    }

    @Test
    void whatWasInTheKernelFailsToo() {
        List<CompletableFuture<byte[]>> reads = startReads(disk, 2);
        fixture.settle();                                              // nobody enters the ring, so nothing is delivered
        assertThat(queue.delivered).isEmpty();
        serverGoes();
        for (CompletableFuture<byte[]> read : reads) assertThat(failureOf(read)).isIn(Errno.EIO, Errno.ENODEV, Errno.ENXIO);
        awaitEnd();
    }

    @Test
    void theDiskGoesWithoutAnyRequest() {
        serverGoes();
        awaitEnd();
    }

    @Test
    void aParkedFetchKeepsTheDeviceOpen() {
        CompletableFuture<byte[]> read = disk.read(QUIET, BLOCK);
        awaitDelivered(queue, 1);
        close(fd);
        unmap();
        settle();
        assertThat(read).isNotDone();
        assertThat(state(id)).isEqualTo(ublk_cmd_h.UBLK_S_DEV_LIVE());
        close(queue.ring());
        assertThat(failureOf(read)).isEqualTo(Errno.EIO);
        awaitEnd();
    }

    @Test
    void mappedDescriptorsKeepTheDeviceOpen() {
        CompletableFuture<byte[]> read = disk.read(QUIET, BLOCK);
        awaitDelivered(queue, 1);
        close(queue.ring());
        close(fd);
        settle();
        assertThat(read).isNotDone();
        assertThat(state(id)).isEqualTo(ublk_cmd_h.UBLK_S_DEV_LIVE());
        unmap();
        assertThat(failureOf(read)).isEqualTo(Errno.EIO);
        awaitEnd();
    }

    /** With the ring goes the fetch that was parked in it, and the driver takes that for the end of the server. */
    @Test
    void whatComesAfterTheRingOfAFetchIsClosedFails() {
        List<CompletableFuture<byte[]>> reads = startReads(disk, 2);
        awaitDelivered(queue, 2);
        RawQueue other = another(queue);
        close(queue.ring());
        await(() -> {
            CompletableFuture<byte[]> later = disk.read(place(9), BLOCK);
            settle();
            return later.isCompletedExceptionally();
        });
        assertThat(state(id)).as("not yet: it is open").isEqualTo(ublk_cmd_h.UBLK_S_DEV_LIVE());
        assertThat(errnoOf(other.fetch())).isEqualTo(Errno.ENODEV);
        RawQueue.Element[] answers = queue.delivered.stream().map(request -> queue.done(request, 3)).toArray(RawQueue.Element[]::new);
        assertThat(resultOf(other.commit(answers))).as("what was delivered is answered as ever").isEqualTo(2 * RawQueue.ELEMENT_BYTES);
        for (CompletableFuture<byte[]> read : reads) assertThat(get(read)).isEqualTo(filled(BLOCK, 3));
    }

    @Test
    void aDeviceThatLostItsServerMayBeServedAndStartedByTheNext() {
        serverGoes();
        awaitEnd();
        queue = queue(reopen(id), 0, DEPTH);
        Answer started = control.send(START, id, PID);
        settle();
        assertThat(started.isThere()).as("it waits for the tags again").isFalse();
        assertThat(resultOf(queue.prepare(queue.allTags()))).isZero();
        queue.lend(DEPTH);
        queue.fetch();
        assertThat(resultOf(started)).isZero();
        assertThat(state(id)).isEqualTo(ublk_cmd_h.UBLK_S_DEV_LIVE());
        CompletableFuture<byte[]> read = disk(id).read(QUIET, BLOCK);
        awaitDelivered(queue, 1);
        answerAll(queue, 4);
        assertThat(get(read)).isEqualTo(filled(BLOCK, 4));
    }

    @Test
    void aDeviceThatLostItsServerCanBeDeletedWhileItsDiskIsStillOpen() {
        CompletableFuture<byte[]> read = disk.read(QUIET, BLOCK);
        awaitDelivered(queue, 1);
        serverGoes();
        failureOf(read);
        awaitEnd();
        Answer deleted = control.send(DELETE, id);
        settle();
        assertThat(deleted.isThere()).as("before the application has closed it").isFalse();
        disk.close();
        assertThat(resultOf(deleted)).isZero();
    }

    @Test
    void aStopThatWaitsForTheServerEndsWithIt() {
        CompletableFuture<byte[]> read = disk.read(QUIET, BLOCK);
        awaitDelivered(queue, 1);
        Answer stopped = control.send(STOP, id);
        settle();
        assertThat(stopped.isThere()).isFalse();
        serverGoes();
        assertThat(resultOf(stopped)).isZero();
        assertThat(failureOf(read)).isEqualTo(Errno.EIO);
    }

    @Test
    void aDeletionThatWaitsForTheServerEndsWithIt() {
        CompletableFuture<byte[]> read = disk.read(QUIET, BLOCK);
        awaitDelivered(queue, 1);
        Answer deleted = control.send(DELETE, id);
        settle();
        assertThat(deleted.isThere()).isFalse();
        serverGoes();
        assertThat(failureOf(read)).isEqualTo(Errno.EIO);
        disk.close();
        assertThat(resultOf(deleted)).isZero();
        assertThat(fetch.isThere()).isFalse();
    }
}
