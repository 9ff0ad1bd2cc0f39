package io.reactorublk.samples.mirror;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.List;
import java.util.OptionalInt;
import java.util.UUID;
import org.junit.jupiter.api.Test;

class AssemblyTest {

    private static final long SIZE = 1 << 20;

    private final UUID set = UUID.randomUUID();

    private ReplicaHeader header(int member, int members, int quorum) {
        return ReplicaHeader.first(set, member, members, quorum, SIZE);
    }

    private static ReplicaFile file(ReplicaHeader header) {
        Path path = Path.of("/replicas/" + header.member());
        return new ReplicaFile(path, path, ReplicaHeader.DATA_OFFSET + SIZE, header);
    }

    private static Assembly assemble(ReplicaFile... files) {
        return Assembly.of(List.of(files), OptionalInt.empty(), false);
    }

    @Test
    void allAreLiveInANewSet() {
        Assembly assembly = assemble(file(header(1, 2, 1)), file(header(0, 2, 1)));

        assertThat(assembly.header().live()).isEqualTo(0b11);
        assertThat(assembly.header().generation()).as("what will be written").isEqualTo(2);
        assertThat(assembly.header().open()).isTrue();
        assertThat(assembly.wasOpen()).isFalse();
        assertThat(assembly.files().get(0)).isNotNull().extracting(ReplicaFile::path).hasToString("/replicas/0");
        assertThat(assembly.remarks()).isEmpty();
    }

    @Test
    void aSetThatWasNotClosedMayDiffer() {
        ReplicaHeader open = header(0, 2, 1).next(0b11, true);

        assertThat(assemble(file(open), file(open.of(1))).wasOpen()).isTrue();
    }

    @Test
    void aStaleReplicaIsLeftOutAndSaidSo() {
        ReplicaHeader old = header(1, 2, 1).next(0b11, true);
        ReplicaHeader newest = old.of(0).next(0b01, true);

        Assembly assembly = assemble(file(newest), file(old));

        assertThat(assembly.header().live()).isEqualTo(0b01);
        assertThat(assembly.files().get(1)).isNull();
        assertThat(assembly.remarks()).singleElement().asString()
                .contains("/replicas/1 is left out", "stale", "generation 2", "newest is 3", "/replicas/0");
    }

    @Test
    void oneOfTwoMayBeStaleWithoutKnowing() {
        assertThatThrownBy(() -> assemble(file(header(1, 2, 1).next(0b11, true))))
                .isInstanceOf(MirrorException.class)
                .hasMessageContaining("replica 0 not given, and may have gone on without /replicas/1, of generation 2");
    }

    @Test
    void somebodyCanSayThatTheOtherIsLost() {
        Assembly assembly = Assembly.of(List.of(file(header(1, 2, 1))), OptionalInt.empty(), true);

        assertThat(assembly.header().live()).isEqualTo(0b10);
        assertThat(assembly.remarks()).singleElement().asString().contains("replica 0 not given: stale from now on");
    }

    @Test
    void whenFewerThanTheQuorumAreMissingNobodyCanHaveGoneOnWithoutTheRest() {
        Assembly assembly = assemble(file(header(0, 3, 2)), file(header(2, 3, 2)));

        assertThat(assembly.header().live()).isEqualTo(0b101);
    }

    @Test
    void aQuorumOfMissingOnesMayHaveGoneOn() {
        assertThatThrownBy(() -> Assembly.of(List.of(file(header(2, 3, 2))), OptionalInt.of(1), false))
                .hasMessageContaining("replicas 0, 1 not given");
    }

    @Test
    void onlyStaleOnesAreRefused() {
        ReplicaHeader knows = header(1, 2, 1).next(0b01, true);

        assertThatThrownBy(() -> assemble(file(knows))).hasMessageContaining("only stale replicas");
    }

    @Test
    void tooFewForTheQuorum() {
        ReplicaHeader old = header(1, 2, 2).next(0b11, true);
        ReplicaHeader newest = old.of(0).next(0b01, true);

        assertThatThrownBy(() -> assemble(file(newest), file(old)))
                .hasMessageContaining("1 live of 2 replicas: too few for the quorum of 2")
                .hasMessageContaining("--quorum 1")
                .hasMessageContaining("/replicas/1 is left out");
        assertThat(Assembly.of(List.of(file(newest), file(old)), OptionalInt.of(1), false).header().quorum()).isEqualTo(1);
    }

    @Test
    void differentSetsAreRefused() {
        ReplicaFile other = file(ReplicaHeader.first(UUID.randomUUID(), 1, 2, 1, SIZE));

        assertThatThrownBy(() -> assemble(file(header(0, 2, 1)), other))
                .hasMessageContaining("different sets").hasMessageContaining(set.toString());
    }

    @Test
    void differentSizesAreRefused() {
        ReplicaFile other = file(ReplicaHeader.first(set, 1, 2, 1, 2 * SIZE));

        assertThatThrownBy(() -> assemble(file(header(0, 2, 1)), other))
                .hasMessageContaining("do not fit together").hasMessageContaining("1048576").hasMessageContaining("2097152");
    }

    @Test
    void aCopyOfAReplicaIsRefused() {
        Path copy = Path.of("/replicas/copy");
        ReplicaFile copied = new ReplicaFile(copy, copy, ReplicaHeader.DATA_OFFSET + SIZE, header(0, 2, 1));

        assertThatThrownBy(() -> assemble(file(header(0, 2, 1)), copied))
                .hasMessageContaining("/replicas/0 and /replicas/copy").hasMessageContaining("replica 0");
    }

    @Test
    void oneFileByTwoNamesIsRefused() {
        ReplicaFile one = file(header(0, 2, 1));
        ReplicaFile link = new ReplicaFile(Path.of("/link"), one.identity(), one.sizeBytes(), one.header());

        assertThatThrownBy(() -> assemble(one, link)).hasMessageContaining("the same file");
        assertThatThrownBy(() -> assemble(one, one)).hasMessageContaining("given twice");
    }

    @Test
    void twoThatWentOnWithoutEachOtherAreRefused() {
        ReplicaHeader a = header(0, 2, 1).next(0b01, true);
        ReplicaHeader b = header(1, 2, 1).next(0b10, true);

        assertThatThrownBy(() -> assemble(file(a), file(b))).hasMessageContaining("split brain");
        assertThatThrownBy(() -> assemble(file(a), file(b.next(0b10, true)))).hasMessageContaining("split brain");
    }

    @Test
    void aMemberThatMissedTheLastHeaderButIsLiveInItIsLive() {
        ReplicaHeader closed = header(0, 2, 1).next(0b11, true).next(0b11, false);
        ReplicaHeader before = header(1, 2, 1).next(0b11, true);

        Assembly assembly = assemble(file(closed), file(before));

        assertThat(assembly.header().live()).isEqualTo(0b11);
        assertThat(assembly.wasOpen()).isFalse();
    }
}
