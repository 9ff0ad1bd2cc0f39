package io.reactorublk.uring;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.reactorublk.uring.World.Pipe;
import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Memory lent to the kernel: that it uses what was lent, in that order, and not a byte more. */
abstract class BufferRingContract extends RingHarness {

    private static final int GROUP = 7;

    private Pipe pipe;
    private MemorySegment memory;
    private BufferRing lent;

    @BeforeEach
    void makePipe() {
        pipe = world.pipe();
        memory = memory(4096);
    }

    @AfterEach
    void takeBack() {
        if (ring.awaited() > 0) ring.cancelAll();
        awaitAll();
        if (lent != null) lent.close();
    }

    private void lendFrom(BufferRing group) {
        lent = group;
    }

    private void offer(int offset, int length, int id) {
        lent.offer(memory.address() + offset, length, id);
    }

    private void arm() {
        stage("read").readMultishot(pipe.reader(), GROUP);
        submit();
    }

    @Test
    void exactlyTheBytesLentAreDelivered() {
        lendFrom(new BufferRing(ring, GROUP, 8, true));
        offer(0, 6, 0);
        lent.publish();
        arm();
        assertThat(done).as("nothing to read yet").isEmpty();

        write(pipe, "ab");
        await(1);
        assertThat(done.getFirst().result()).isEqualTo(2);
        assertThat(done.getFirst().more()).isTrue();
        assertThat(done.getFirst().bufferMore()).as("4 bytes of the buffer are left").isTrue();

        write(pipe, "cdefGHIJKL");                                     // 10 bytes for 4
        await(3);
        assertThat(done.get(1).result()).isEqualTo(4);
        assertThat(done.get(1).bufferMore()).as("the buffer is used up").isFalse();
        assertThat(done.get(2)).isEqualTo(new Done("read", ENOBUFS, 0));
        assertThat(text(memory, 0, 6)).isEqualTo("abcdef");
        assertThat(memory.get(java.lang.foreign.ValueLayout.JAVA_BYTE, 6)).as("the byte behind").isZero();
        assertThat(ring.inFlight()).as("the multishot has ended").isZero();

        offer(100, 6, 1);                                              // what was not asked for has waited in the pipe
        lent.publish();
        arm();
        await(4);
        assertThat(done.get(3).result()).isEqualTo(6);
        assertThat(done.get(3).bufferId()).isEqualTo(1);
        assertThat(text(memory, 100, 6)).isEqualTo("GHIJKL");
    }

    @Test
    void nothingIsTakenWhereNothingIsLent() {
        lendFrom(new BufferRing(ring, GROUP, 8, true));
        arm();
        write(pipe, "abc");
        assertThat(await(1)).containsExactly(new Done("read", ENOBUFS, 0));
        IoBuffer.Segment buffer = buffer(3);
        stage("plain").read(pipe.reader(), buffer, 0);
        awaitAll();
        assertThat(text(buffer)).isEqualTo("abc");
    }

    @Test
    void memoryCanBeLentWhileTheReadIsUnderWay() {
        lendFrom(new BufferRing(ring, GROUP, 8, true));
        offer(0, 2, 0);
        lent.publish();
        arm();
        offer(2, 2, 1);
        lent.publish();
        write(pipe, "abcd");
        await(2);
        assertThat(text(memory, 0, 4)).isEqualTo("abcd");
        assertThat(done.stream().limit(2)).allMatch(Done::more).extracting(Done::bufferId).containsExactly(0, 1);
    }

    @Test
    void whatIsOfferedIsNotLentBeforeItIsPublished() {
        lendFrom(new BufferRing(ring, GROUP, 8, true));
        offer(0, 8, 0);
        arm();
        write(pipe, "abc");
        assertThat(await(1)).containsExactly(new Done("read", ENOBUFS, 0));
    }

    @Test
    void aClassicBufferIsUsedUpByOneCompletion() {
        lendFrom(new BufferRing(ring, GROUP, 4, false));
        for (int id = 0; id < 3; id++) offer(16 * id, 16, id);
        lent.publish();
        arm();
        for (String word : new String[] {"one", "two", "three"}) {
            int before = done.size();
            write(pipe, word);
            await(before + 1);
        }
        assertThat(done.stream().limit(3)).allMatch(Done::buffer).noneMatch(Done::bufferMore);
        assertThat(done.stream().limit(3)).extracting(Done::bufferId).containsExactly(0, 1, 2);
        assertThat(text(memory, 16, 3)).isEqualTo("two");
        assertThat(text(memory, 32, 5)).isEqualTo("three");
    }

    @Test
    void theCircleGoesRoundAndRound() {
        lendFrom(new BufferRing(ring, GROUP, 4, true));
        for (int round = 0; round < 25; round++) {
            int before = done.size();
            offer(2 * (round % 4), 2, round % 4);
            lent.publish();
            stage("read").readMultishot(pipe.reader(), GROUP);
            write(pipe, "" + (char) ('a' + round) + round % 10);
            await(before + 1);
            assertThat(done.get(before).result()).isEqualTo(2);
            assertThat(text(memory, 2L * (round % 4), 2)).isEqualTo("" + (char) ('a' + round) + round % 10);
            ring.cancelAll();
            awaitAll();
        }
    }

    @Test
    void ringAndKernelAgreeOnWhatIsUsedUp() {
        lendFrom(new BufferRing(ring, GROUP, 8, true));
        offer(0, 4, 0);
        offer(4, 4, 1);
        lent.publish();
        assertThat(lent.agrees(0, memory.address())).isTrue();
        arm();
        write(pipe, "abcdef");                                         // all of the first, half of the second
        await(2);
        assertThat(lent.agrees(1, memory.address() + 6)).isTrue();
        assertThat(lent.agrees(0, memory.address())).isFalse();
        assertThat(lent.agrees(1, memory.address() + 4)).isFalse();
        write(pipe, "gh");
        await(3);
        assertThat(lent.agrees(2, 0)).as("all used up").isTrue();
    }

    @Test
    void aResetTakesEverythingBack() {
        lendFrom(new BufferRing(ring, GROUP, 8, true));
        offer(0, 4, 0);
        lent.publish();
        lent.reset();
        assertThat(lent.agrees(0, 0)).isTrue();
        arm();
        write(pipe, "ab");
        await(1);
        assertThat(done.getFirst().result()).isEqualTo(ENOBUFS);
        offer(8, 2, 3);
        lent.publish();
        arm();
        await(2);
        assertThat(done.get(1).result()).isEqualTo(2);
        assertThat(done.get(1).bufferId()).isEqualTo(3);
        assertThat(text(memory, 8, 2)).isEqualTo("ab");
    }

    @Test
    void aFullCompletionQueueEndsTheReadAndLosesNothing() {
        ring = openRing(new RingConfig(4, 4, false));
        lendFrom(new BufferRing(ring, GROUP, 16, true));
        for (int i = 0; i < 16; i++) offer(i, 1, i);
        lent.publish();
        stage("write").write(pipe.writer(), buffer("0123456789abcdef"), 0);
        stage("read").readMultishot(pipe.reader(), GROUP);
        StringBuilder read = new StringBuilder();
        int seen = 0;
        int ended = 0;
        for (int turn = 0; read.length() < 16 && turn < 100; turn++) {
            ring.enter(false, Ring.FOREVER);
            ring.reap();
            for (; seen < done.size(); seen++) {
                Done next = done.get(seen);
                if (!next.name().equals("read")) continue;
                if (next.result() > 0) read.append(text(memory, next.bufferId(), 1));
                if (next.more() || read.length() == 16) continue;
                ended++;
                stage("read").readMultishot(pipe.reader(), GROUP);
            }
        }
        assertThat(ended).as("how often the full queue ended the read").isPositive();
        assertThat(read).hasToString("0123456789abcdef");
    }

    @Test
    void aGroupIsFreeAgainAfterClose() {
        new BufferRing(ring, GROUP, 8, true).close();
        lendFrom(new BufferRing(ring, GROUP, 8, false));
        assertThatThrownBy(() -> new BufferRing(ring, GROUP, 8, true)).isInstanceOf(KernelException.class)
                .satisfies(e -> assertThat(((KernelException) e).errno()).isEqualTo(Errno.EEXIST));
    }

    @Test
    void anImpossibleCapacityIsRefused() {
        assertThatThrownBy(() -> new BufferRing(ring, GROUP, 0, true)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> new BufferRing(ring, GROUP, BufferRing.MAX_ENTRIES + 1, true))
                .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("32769");
    }

    @Test
    void aCapacityIsRoundedUpToAPowerOfTwo() {
        lendFrom(new BufferRing(ring, GROUP, 5, true));
        assertThat(lent.capacity()).isEqualTo(8);
    }
}
