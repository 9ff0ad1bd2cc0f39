package io.reactorublk.uring;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.reactorublk.uring.World.Pipe;
import org.junit.jupiter.api.Test;

/** Linked entries. */
abstract class ChainContract extends RingHarness {

    @Test
    void aLinkedEntryWaitsForTheOneBeforeIt() {
        Pipe pipe = world.pipe();
        stage("read").read(pipe.reader(), buffer(1), 0).link();
        stage("nop").nop();
        submit();
        assertThat(done).isEmpty();
        write(pipe, "x");
        awaitAll();
        assertThat(done).containsExactly(new Done("read", 1, 0), new Done("nop", 0, 0));
    }

    @Test
    void aFailureCancelsTheRestOfTheChain() {
        stage("bad").read(-1, buffer(1), 0).link();
        stage("second").nop().link();
        stage("third").nop();
        awaitAll();
        assertThat(result("bad")).isEqualTo(EBADF);
        assertThat(result("second")).isEqualTo(ECANCELED);
        assertThat(result("third")).isEqualTo(ECANCELED);
    }

    @Test
    void aShortReadCancelsTheRestOfTheChain() {
        Pipe pipe = world.pipe();
        write(pipe, "12");
        stage("read").read(pipe.reader(), buffer(4), 0).link();
        stage("nop").nop();
        awaitAll();
        assertThat(result("read")).isEqualTo(2);
        assertThat(result("nop")).isEqualTo(ECANCELED);
    }

    @Test
    void aChainEndsWithTheFirstEntryThatIsNotLinked() {
        stage("bad").read(-1, buffer(1), 0).link();
        stage("cancelled").nop();
        stage("other").nop();
        awaitAll();
        assertThat(result("cancelled")).isEqualTo(ECANCELED);
        assertThat(result("other")).isZero();
    }

    @Test
    void aHardLinkSurvivesAFailure() {
        stage("bad").read(-1, buffer(1), 0).hardLink();
        stage("nop").nop();
        awaitAll();
        assertThat(result("bad")).isEqualTo(EBADF);
        assertThat(result("nop")).isZero();
    }

    @Test
    void aChainWithReservedRoomIsNotSplit() {
        for (int i = 0; i < 6; i++) stage("filler " + i).nop();        // of 8: a chain of 4 does not fit
        ring.reserve(4);
        stage("bad").read(-1, buffer(1), 0).link();
        stage("second").nop().link();
        stage("third").nop().link();
        stage("fourth").nop();
        awaitAll();
        assertThat(result("second")).isEqualTo(ECANCELED);
        assertThat(result("third")).isEqualTo(ECANCELED);
        assertThat(result("fourth")).isEqualTo(ECANCELED);
    }

    @Test
    void aChainLongerThanTheQueueIsRefused() {
        assertThatThrownBy(() -> ring.reserve(9))
                .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("9").hasMessageContaining("8");
    }
}
