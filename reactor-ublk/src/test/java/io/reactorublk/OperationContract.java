package io.reactorublk;

import static io.reactorublk.Operation.DISCARD;
import static io.reactorublk.Operation.FLUSH;
import static io.reactorublk.Operation.READ;
import static io.reactorublk.Operation.WRITE;
import static io.reactorublk.Operation.WRITE_ZEROES;
import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.RecordingTarget.Seen;
import io.reactorublk.uring.Errno;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Mono;

/** What a target sees of what an application does. */
abstract class OperationContract extends DeviceContract {

    private final RecordingTarget target = new RecordingTarget(DEVICE_BYTES);

    @Test
    void anApplicationReadsWhatItWrote() {
        Disk disk = disk(target);
        byte[] bytes = pattern(3 * BLOCK, 1);
        write(disk, QUIET, bytes);
        assertThat(read(disk, QUIET, bytes.length)).isEqualTo(bytes);
    }

    @Test
    void theTargetGetsTheBytesWritten() {
        Disk disk = disk(target);
        byte[] bytes = pattern(MAX_IO, 2);
        write(disk, QUIET, bytes);
        assertThat(target.content(QUIET, bytes.length)).isEqualTo(bytes);
    }

    @Test
    void offsetAndLengthAreInBytes() {
        read(disk(target), QUIET + BLOCK, 3 * BLOCK);
        assertThat(target.seen(READ)).containsExactly(new Seen(READ, QUIET + BLOCK, 3 * BLOCK, false, false));
    }

    @Test
    void aTransferLongerThanTheLongestRequestComesInSeveral() {
        Disk disk = disk(target);
        byte[] bytes = pattern(4 * MAX_IO, 3);
        write(disk, QUIET, bytes);
        assertThat(target.seen(WRITE)).hasSizeGreaterThanOrEqualTo(4).allMatch(seen -> seen.length() <= MAX_IO);
        assertThat(target.content(QUIET, bytes.length)).isEqualTo(bytes);
    }

    @Test
    void requestsAtTheSameTimeDoNotShareTheirBytes() {
        Disk disk = disk(target);
        List<CompletableFuture<Void>> writes = new ArrayList<>();
        for (int i = 0; i < 64; i++) writes.add(disk.write(place(i), filled(BLOCK, i)));
        writes.forEach(fixture::get);
        for (int i = 0; i < 64; i++) assertThat(target.content(place(i), BLOCK)).isEqualTo(filled(BLOCK, i));
    }

    @Test
    void theLastBlockOfTheDeviceCanBeWritten() {
        write(disk(target), DEVICE_BYTES - BLOCK, filled(BLOCK, 7));
        assertThat(target.content(DEVICE_BYTES - BLOCK, BLOCK)).isEqualTo(filled(BLOCK, 7));
    }

    @Test
    void aFlushFollowsTheWriteItIsFor() {
        Disk disk = disk(target);
        write(disk, QUIET, filled(BLOCK, 1));
        fixture.get(disk.flush());
        assertThat(target.seen()).containsExactly(
                new Seen(WRITE, QUIET, BLOCK, false, false), new Seen(FLUSH, 0, 0, false, false));
    }

    @Test
    void withoutAVolatileCacheNoFlushIsSent() {
        Disk disk = disk(start(server(target).writeThrough()));
        write(disk, QUIET, filled(BLOCK, 1));
        fixture.get(disk.flush());
        fixture.get(disk.writeDurably(QUIET, filled(BLOCK, 2)));
        assertThat(target.seen(WRITE)).hasSize(2);
        assertThat(target.seen(FLUSH)).isEmpty();
    }

    @Test
    void aDurableWriteIsFuaWhereTheDeviceHasIt() {
        Disk disk = disk(start(server(target).fua()));
        fixture.get(disk.writeDurably(QUIET, filled(BLOCK, 1)));
        assertThat(target.seen()).startsWith(new Seen(WRITE, QUIET, BLOCK, true, false));
    }

    @Test
    void anOrdinaryWriteIsNotFua() {
        Disk disk = disk(start(server(target).fua()));
        write(disk, QUIET, filled(BLOCK, 1));
        assertThat(target.seen()).containsExactly(new Seen(WRITE, QUIET, BLOCK, false, false));
    }

    @Test
    void aDurableWriteWithoutFuaIsFlushed() {
        fixture.get(disk(target).writeDurably(QUIET, filled(BLOCK, 1)));
        assertThat(target.seen())
                .startsWith(new Seen(WRITE, QUIET, BLOCK, false, false), new Seen(FLUSH, 0, 0, false, false));
    }

    @Test
    void aDiscardNamesItsRange() {
        fixture.get(disk(target).discard(QUIET, 2 << 20));
        assertThat(target.seen(DISCARD)).containsExactly(new Seen(DISCARD, QUIET, 2 << 20, false, false));
    }

    @Test
    void aDiscardLongerThanTheLongestComesInSeveral() {
        Disk disk = disk(start(server(target).maxDiscardBytes(1 << 20)));
        fixture.get(disk.discard(QUIET, 2 << 20));
        assertThat(target.seen(DISCARD)).containsExactlyInAnyOrder(
                new Seen(DISCARD, QUIET, 1 << 20, false, false),
                        new Seen(DISCARD, QUIET + (1 << 20), 1 << 20, false, false));
    }

    @Test
    void aDeviceWithoutDiscardRefusesIt() {
        Disk disk = disk(start(server(target).maxDiscardBytes(0)));
        assertThat(failureOf(disk.discard(QUIET, 1 << 20))).isEqualTo(Errno.EOPNOTSUPP);
        assertThat(target.seen(DISCARD)).isEmpty();
    }

    @Test
    void zeroesThatMustStayAllocatedSaySo() {
        Disk disk = disk(target);
        write(disk, QUIET, filled(MAX_IO, 1));
        fixture.get(disk.zero(QUIET, MAX_IO));
        assertThat(target.seen(WRITE_ZEROES)).containsExactly(new Seen(WRITE_ZEROES, QUIET, MAX_IO, false, true));
        assertThat(read(disk, QUIET, MAX_IO)).isEqualTo(new byte[MAX_IO]);
    }

    @Test
    void zeroesThatMayBeFreedSayNothing() {
        Disk disk = disk(target);
        fixture.get(disk.punch(QUIET, MAX_IO));
        assertThat(target.seen(WRITE_ZEROES)).containsExactly(new Seen(WRITE_ZEROES, QUIET, MAX_IO, false, false));
    }

    @Test
    void withoutWriteZeroesTheyAreWritten() {
        Disk disk = disk(start(server(target).maxWriteZeroesBytes(0)));
        write(disk, QUIET, filled(MAX_IO, 1));
        fixture.get(disk.zero(QUIET, MAX_IO));
        assertThat(target.seen(WRITE_ZEROES)).isEmpty();
        assertThat(target.content(QUIET, MAX_IO)).isEqualTo(new byte[MAX_IO]);
    }

    @Test
    void aReadOnlyDeviceAsksForNoWrite() {
        Disk disk = disk(start(server(target).readOnly()));
        assertThat(failureOf(disk.write(QUIET, filled(BLOCK, 1)))).isIn(Errno.EPERM, Errno.EACCES, Errno.EROFS);
        assertThat(target.seen(WRITE)).isEmpty();
    }

    @Test
    void theErrnoOfTheTargetReachesTheApplication() {
        Disk disk = disk(queue -> queue.answer(request ->
                Mono.just(isQuiet(request) ? request.fail(Errno.ENOSPC) : target.apply(request))));
        assertThat(failureOf(disk.write(QUIET, filled(BLOCK, 1)))).isEqualTo(Errno.ENOSPC);
    }

    @Test
    void aRequestKnowsItsQueue() {
        List<BlockQueue> queues = new java.util.concurrent.CopyOnWriteArrayList<>();
        UblkDevice device = start(server(queue -> queue.answer(request -> {
            if (isQuiet(request)) queues.add(request.queue());
            return Mono.just(target.apply(request));
        })).queueDepth(32).blockSize(BLOCK));
        read(disk(device), QUIET, BLOCK);
        assertThat(queues).singleElement().satisfies(queue -> {
            assertThat(queue.id()).isZero();
            assertThat(queue.deviceId()).isEqualTo(device.id());
            assertThat(queue.depth()).isEqualTo(32);
            assertThat(queue.blockSize()).isEqualTo(BLOCK);
        });
    }

    @Test
    void twoQueuesServeOneDevice() {
        RecordingTarget[] targets = {target, new RecordingTarget(DEVICE_BYTES)};
        UblkDevice device = start(server(queue -> queue.answer(request -> {
            targets[1].note(request);
            return Mono.just(target.apply(request));
        })).queues(2));
        assertThat(device.queues()).isEqualTo(2);
        assertAllRead(startReads(disk(device), 16));
        assertThat(targets[1].seen(READ)).hasSize(16);
    }
}
