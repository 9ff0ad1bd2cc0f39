package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.abi.ublk_cmd_h;
import io.reactorublk.uring.Errno;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** PREP_IO_CMDS, and what is wrong with any batch command. */
abstract class DriverPrepareContract extends DriverContract {

    private int id;
    private int fd;
    private RawQueue queue;

    @BeforeEach
    final void addDevice() {
        id = add(1, DEPTH);
        fd = open(id);
        queue = queue(fd, 0, DEPTH);
    }

    /** The same command with elements that would be right. */
    private Answer prepareAll(int number, int flags, int count, int elementBytes) {
        return queue.command(RawQueue.PREP, number, flags, count, elementBytes, queue.write(queue.tags(0, DEPTH + 1)).address());
    }

    private void assertNothingIsPrepared() {
        assertThat(resultOf(queue.prepare(queue.allTags()))).isZero();
    }

    @Test
    void allTagsMayBePreparedAtOnce() {
        assertThat(resultOf(queue.prepare(queue.allTags()))).isZero();
    }

    @Test
    void severalCommandsMayPrepareAQueue() {
        assertThat(resultOf(queue.prepare(queue.tags(2, DEPTH)))).isZero();
        assertThat(resultOf(queue.prepare(queue.tags(0, 2)))).isZero();
        assertThat(resultOf(control.send(START, id, PID))).isZero();
    }

    @Test
    void moreElementsThanTagsAreTooMany() {
        assertThat(errnoOf(prepareAll(0, RawQueue.COPY, DEPTH + 1, RawQueue.ELEMENT_BYTES))).isEqualTo(Errno.E2BIG);
        assertNothingIsPrepared();
    }

    @Test
    void aQueueThatIsNotThereIsRefused() {
        assertThat(errnoOf(prepareAll(1, RawQueue.COPY, DEPTH, RawQueue.ELEMENT_BYTES))).isEqualTo(Errno.EINVAL);
    }

    @Test
    void aTagThatIsNotThereIsRefused() {
        assertThat(errnoOf(queue.prepare(queue.element(DEPTH, 0)))).isEqualTo(Errno.EINVAL);
    }

    @Test
    void flagsThatDoNotFitTheDeviceAreRefused() {
        int zoned = ublk_cmd_h.UBLK_BATCH_F_HAS_ZONE_LBA();
        int fallback = ublk_cmd_h.UBLK_BATCH_F_AUTO_BUF_REG_FALLBACK();
        assertThat(errnoOf(prepareAll(0, RawQueue.COPY | zoned, 1, RawQueue.ELEMENT_BYTES + Long.BYTES))).as("zoned").isEqualTo(Errno.EINVAL);
        assertThat(errnoOf(prepareAll(0, fallback, 1, Long.BYTES))).as("registers no buffers").isEqualTo(Errno.EINVAL);
        assertThat(errnoOf(prepareAll(0, RawQueue.COPY | 1 << 3, 1, RawQueue.ELEMENT_BYTES))).as("unknown").isEqualTo(Errno.EINVAL);
        assertNothingIsPrepared();
    }

    @Test
    void elementsOfAnotherSizeThanTheFlagsSayAreRefused() {
        assertThat(errnoOf(prepareAll(0, RawQueue.COPY, 1, Long.BYTES))).isEqualTo(Errno.EINVAL);
        assertThat(errnoOf(prepareAll(0, 0, 1, RawQueue.ELEMENT_BYTES))).isEqualTo(Errno.EINVAL);
        assertThat(errnoOf(prepareAll(0, RawQueue.COPY, 1, 0))).isEqualTo(Errno.EINVAL);
        assertNothingIsPrepared();
    }

    @Test
    void moreElementsThanTagsAreReportedBeforeAnythingElseThatIsWrongWithThem() {
        assertThat(errnoOf(prepareAll(0, 1 << 3, DEPTH + 1, 3))).isEqualTo(Errno.E2BIG);
    }

    @Test
    void aTagNeedsMemory() {
        assertThat(errnoOf(queue.prepare(new RawQueue.Element(0, 0, 0)))).isEqualTo(Errno.EINVAL);
        assertThat(errnoOf(prepareAll(0, 0, 1, Long.BYTES))).as("elements without an address").isEqualTo(Errno.EINVAL);
        assertNothingIsPrepared();
    }

    /** It is looked at when the first request comes. */
    @Test
    void whatMemoryThatIsDoesNotMatterYet() {
        assertThat(resultOf(queue.prepare(new RawQueue.Element(0, 0, NOWHERE)))).isZero();
    }

    @Test
    void aTagIsPreparedOnce() {
        assertThat(resultOf(queue.prepare(queue.element(0, 0)))).isZero();
        assertThat(errnoOf(queue.prepare(queue.element(0, 0)))).isEqualTo(Errno.EINVAL);
        assertThat(errnoOf(queue.prepare(queue.element(1, 0), queue.element(1, 0)))).isEqualTo(Errno.EINVAL);
        assertThat(resultOf(queue.prepare(queue.tags(1, DEPTH)))).isZero();
    }

    @Test
    void oneWrongElementUndoesAllOfItsCommandAndNothingElse() {
        assertThat(resultOf(queue.prepare(queue.element(3, 0)))).isZero();
        assertThat(errnoOf(queue.prepare(queue.element(0, 0), queue.element(1, 0), queue.element(DEPTH, 0)))).isEqualTo(Errno.EINVAL);
        assertThat(errnoOf(queue.prepare(queue.element(0, 0), queue.element(3, 0)))).as("3 is still prepared").isEqualTo(Errno.EINVAL);
        assertThat(resultOf(queue.prepare(queue.tags(0, 3)))).isZero();
    }

    @Test
    void aDeviceThatIsReadyIsBusy() {
        assertThat(resultOf(queue.prepare(queue.allTags()))).isZero();
        assertThat(errnoOf(queue.prepare(queue.element(0, 0)))).isEqualTo(Errno.EBUSY);
        assertThat(errnoOf(queue.prepare(queue.element(DEPTH, 0)))).as("a tag that is not there").isEqualTo(Errno.EINVAL);
        assertThat(errnoOf(queue.prepare(new RawQueue.Element(0, 0, 0)))).as("without memory").isEqualTo(Errno.EINVAL);
    }

    @Test
    void aQueueThatIsReadyWhileAnotherIsNotRefusesItsTags() {
        int two = add(2, DEPTH);
        RawQueue first = queue(open(two), 0, DEPTH);
        assertThat(resultOf(first.prepare(first.allTags()))).isZero();
        assertThat(errnoOf(first.prepare(first.element(0, 0)))).isEqualTo(Errno.EINVAL);
    }

    @Test
    void noElementsAreNoError() {
        assertThat(resultOf(queue.prepare())).isZero();
        assertThat(resultOf(queue.prepare(queue.allTags()))).isZero();
        assertThat(resultOf(queue.prepare())).as("of a device that is ready").isZero();
    }

    @Test
    void noElementsNeedNoMemory() {
        assertThat(resultOf(queue.command(RawQueue.PREP, 0, RawQueue.COPY, 0, RawQueue.ELEMENT_BYTES, NOWHERE))).isZero();
    }

    @Test
    void elementsThatAreNotInMemoryAreAFault() {
        assertThat(errnoOf(queue.command(RawQueue.PREP, 0, RawQueue.COPY, DEPTH, RawQueue.ELEMENT_BYTES, NOWHERE))).isEqualTo(Errno.EFAULT);
        assertNothingIsPrepared();
    }

    @Test
    void commandsForOneTagAreNotForBatchDevices() {
        assertThat(errnoOf(queue.command((int) ublk_cmd_h.UBLK_U_IO_FETCH_REQ(), 0, 0, 0, 0, 0))).isEqualTo(Errno.EOPNOTSUPP);
        assertThat(errnoOf(queue.command((int) ublk_cmd_h.UBLK_U_IO_COMMIT_AND_FETCH_REQ(), 0, 0, 0, 0, 0))).isEqualTo(Errno.EOPNOTSUPP);
    }

    /** The second number of such a command is the tag. */
    @Test
    void commandsForOneTagAreReadBeforeTheyAreRefused() {
        int fetch = (int) ublk_cmd_h.UBLK_U_IO_FETCH_REQ();
        assertThat(errnoOf(queue.command(fetch, 1, 0, 0, 0, 0))).as("queue").isEqualTo(Errno.EINVAL);
        assertThat(errnoOf(queue.command(fetch, 0, DEPTH, 0, 0, 0))).as("tag").isEqualTo(Errno.EINVAL);
    }

    @Test
    void tagsStayPreparedWhenAServerThatNeverStartedGoes() {
        assertThat(resultOf(queue.prepare(queue.allTags()))).isZero();
        unmap();
        close(queue.ring());
        close(fd);
        RawQueue next = queue(reopen(id), 0, DEPTH);
        assertThat(errnoOf(next.prepare(next.allTags()))).isEqualTo(Errno.EBUSY);
    }
}
