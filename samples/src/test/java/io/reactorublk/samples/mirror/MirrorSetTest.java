package io.reactorublk.samples.mirror;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.test.scheduler.VirtualTimeScheduler;

class MirrorSetTest {

    private static final Duration LIMIT = Duration.ofSeconds(3);

    private final VirtualTimeScheduler loop = VirtualTimeScheduler.create();

    /** A disk that keeps what it gets, fails, or lets somebody wait. */
    private static final class Disk implements HeaderStore {

        final List<ReplicaHeader> written = new ArrayList<>();
        boolean broken;
        Sinks.@Nullable Empty<Void> slow;
        Runnable whenWritten = () -> {};

        @Override
        public Mono<Void> write(ReplicaHeader header) {
            return Mono.defer(() -> {
                whenWritten.run();
                if (broken) return Mono.error(new IllegalStateException("broken"));
                Mono<Void> done = Mono.fromRunnable(() -> written.add(header));
                return slow == null ? done : slow.asMono().then(done);
            });
        }

        @Override
        public Mono<Void> flush() {
            return broken ? Mono.error(new IllegalStateException("broken")) : Mono.empty();
        }

        ReplicaHeader last() {
            return written.getLast();
        }
    }

    private final List<Disk> disks = new ArrayList<>();

    private MirrorSet set(int members, int quorum) {
        for (int i = 0; i < members; i++) disks.add(new Disk());
        return new MirrorSet(ReplicaHeader.first(UUID.randomUUID(), 0, members, quorum, 1 << 20), disks, loop, LIMIT);
    }

    private boolean isSettled(MirrorSet set) {
        List<String> signals = new ArrayList<>();
        set.settled().subscribe(nothing -> {}, e -> signals.add("error"), () -> signals.add("settled"));
        return signals.equals(List.of("settled"));
    }

    @Test
    void staleIsDurableOnAllSurvivorsBeforeAWriteGoesOn() {
        MirrorSet set = set(3, 1);
        Sinks.Empty<Void> slow = Sinks.empty();
        disks.get(2).slow = slow;

        set.leave(0b010, "test");

        assertThat(set.isLive(1)).as("gets no more I/O, at once").isFalse();
        assertThat(isSettled(set)).isFalse();
        assertThat(set.missing(0b101)).as("a write on 0 and 2 must wait").isEqualTo(0b010);
        slow.tryEmitEmpty();
        assertThat(isSettled(set)).isTrue();
        assertThat(set.missing(0b101)).isZero();
        assertThat(disks.get(0).last().live()).isEqualTo(0b101);
        assertThat(disks.get(2).last()).isEqualTo(disks.get(0).last().of(2));
        assertThat(disks.get(1).written).as("a stale replica is not written to").isEmpty();
    }

    @Test
    void aSurvivorThatFailsMeanwhileIsStaleToo() {
        MirrorSet set = set(3, 1);
        disks.get(2).broken = true;

        set.leave(0b010, "test");

        assertThat(isSettled(set)).isTrue();
        assertThat(set.live()).isEqualTo(0b001);
        assertThat(disks.get(0).written).extracting(ReplicaHeader::generation)
                .as("a generation says one thing only").containsExactly(2L, 3L);
        assertThat(disks.get(0).last().live()).isEqualTo(0b001);
        assertThat(set.isWritable()).isTrue();
    }

    @Test
    void oneWhoLeavesWhileTheHeaderIsWrittenIsInTheNext() {
        MirrorSet set = set(3, 1);
        disks.get(0).whenWritten = () -> set.leave(0b100, "test");

        set.leave(0b010, "test");

        assertThat(isSettled(set)).isTrue();
        assertThat(set.missing(0b001)).isZero();
        assertThat(disks.get(0).last().live()).isEqualTo(0b001);
    }

    @Test
    void ifNobodyCanRecordItWritesFail() {
        MirrorSet set = set(3, 1);
        for (Disk disk : disks) disk.broken = true;

        set.leave(0b010, "test");

        assertThat(isSettled(set)).as("nobody waits for ever").isTrue();
        assertThat(set.isWritable()).isFalse();
        assertThat(set.live()).as("reads go on").isNotZero();
    }

    @Test
    void theLastOneStays() {
        MirrorSet set = set(2, 1);
        set.leave(0b01, "test");
        set.leave(0b10, "test");

        assertThat(set.live()).isEqualTo(0b10);
        assertThat(set.readerOf(0)).isEqualTo(1);
    }

    @Test
    void ofAllAtOnceOneStays() {
        MirrorSet set = set(2, 1);
        set.leave(0b11, "test");

        assertThat(set.live()).isEqualTo(0b01);
    }

    @Test
    void belowTheQuorumWritesFailForGood() {
        MirrorSet set = set(3, 2);
        set.leave(0b001, "test");
        assertThat(set.isWritable()).isTrue();
        set.leave(0b010, "test");

        assertThat(set.isWritable()).isFalse();
        assertThat(isSettled(set)).isTrue();
        assertThat(disks.get(2).last().live()).as("recorded all the same").isEqualTo(0b100);
    }

    @Test
    void aSurvivorThatIsSlowerThanAnotherLeaves() {
        MirrorSet set = set(3, 1);
        disks.get(2).slow = Sinks.empty();
        set.leave(0b010, "test");
        assertThat(isSettled(set)).isFalse();

        loop.advanceTimeBy(LIMIT.multipliedBy(2));

        assertThat(isSettled(set)).isTrue();
        assertThat(disks.get(0).last().live()).isEqualTo(0b001);
    }

    @Test
    void theReadersAreAllLiveOnesInTurn() {
        MirrorSet set = set(3, 1);
        set.leave(0b010, "test");

        assertThat(List.of(set.readerOf(0), set.readerOf(4096), set.readerOf(1 << 20), set.readerOf(2 << 20)))
                .containsExactly(0, 0, 2, 0);
    }

    @Test
    void aCleanEndIsWritten() {
        MirrorSet set = set(2, 1);
        set.leave(0b10, "test");

        assertThat(set.close().block()).isTrue();
        assertThat(disks.get(0).last().open()).isFalse();
        assertThat(disks.get(0).last().live()).isEqualTo(0b01);
    }

    @Test
    void whoCannotFlushInTheEndIsStale() {
        MirrorSet set = set(2, 1);
        disks.get(1).broken = true;

        assertThat(set.close().block()).isTrue();
        assertThat(disks.get(0).last().live()).isEqualTo(0b01);
    }

    @Test
    void whatMayDifferIsNotCalledClean() {
        MirrorSet set = set(2, 1);
        set.mayDiffer();

        assertThat(set.close().block()).isFalse();
        assertThat(disks.get(0).written).isEmpty();
    }

    @Test
    void afterAFailedWriteItIsNotClean() {
        MirrorSet set = set(2, 1);
        set.fail("test");

        assertThat(set.close().block()).isFalse();
    }
}
