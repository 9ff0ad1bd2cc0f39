package io.reactorublk.samples.mirror;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is refused before there is a device: with what was found, and leaving everything as it was. */
class MirrorMainTest {

    private static final int REFUSED = 2;
    private static final long SIZE = 1 << 20;

    @TempDir
    Path folder;

    private String refusal(Object... arguments) {
        StringWriter errors = new StringWriter();
        int status = MirrorMain.commandLine().setErr(new PrintWriter(errors))
                .execute(Arrays.stream(arguments).map(Object::toString).toArray(String[]::new));
        assertThat(status).as(errors.toString()).isEqualTo(REFUSED);
        return errors.toString();
    }

    private Path at(String name) {
        return folder.resolve(name);
    }

    private List<ReplicaFile> create(String... names) {
        return ReplicaFile.create(Stream.of(names).map(this::at).toList(), SIZE, 1, false);
    }

    @Test
    void aMissingFile() {
        create("a", "b");
        assertThat(refusal("--keep", at("a"), at("nowhere"))).contains(at("nowhere") + " does not exist");
    }

    @Test
    void aDirectory() throws IOException {
        create("a", "b");
        Files.createDirectory(at("d"));
        assertThat(refusal("--keep", at("a"), at("d"))).contains(at("d") + " is a directory");
        assertThat(refusal("--keep", "--create", at("x"), at("d"))).contains(at("d") + " is a directory");
        assertThat(at("x")).as("nothing is left behind").doesNotExist();
    }

    @Test
    void aReadOnlyFile() throws IOException {
        create("a", "b");
        Files.setPosixFilePermissions(at("b"), PosixFilePermissions.fromString("r--r--r--"));
        assertThat(refusal("--keep", at("a"), at("b"))).contains(at("b") + " is read-only");
    }

    @Test
    void aFileThatIsTooShort() throws IOException {
        create("a", "b");
        Files.write(at("short"), new byte[4096]);
        assertThat(refusal("--keep", at("a"), at("short"))).contains("too short", "4096 bytes");

        try (FileChannel b = FileChannel.open(at("b"), StandardOpenOption.WRITE)) {
            b.truncate(ReplicaHeader.DATA_OFFSET + SIZE - 1);
        }
        assertThat(refusal("--keep", at("a"), at("b")))
                .contains(at("b") + " is too short", "need " + (ReplicaHeader.DATA_OFFSET + SIZE));
    }

    @Test
    void aFileWithoutAHeaderAndOneWithADamagedOne() throws IOException {
        create("a", "b");
        Files.write(at("zeroes"), new byte[2 << 20]);
        assertThat(refusal("--keep", at("a"), at("zeroes"))).contains("no replica header");

        byte[] damaged = Files.readAllBytes(at("b"));
        damaged[ReplicaHeader.SLOT_BYTES + 20]++;
        Files.write(at("b"), damaged);
        assertThat(refusal("--keep", at("a"), at("b"))).contains(at("b").toString(), "checksum");
    }

    @Test
    void oneFileTwice() throws IOException {
        create("a", "b");
        Files.createSymbolicLink(at("symbolic"), at("a"));
        Files.createLink(at("hard"), at("a"));

        assertThat(refusal("--keep", at("a"), at("a"))).contains("given twice");
        assertThat(refusal("--keep", at("a"), at("symbolic"))).contains("the same file");
        assertThat(refusal("--keep", at("a"), at("hard"))).contains("the same file");
        assertThat(refusal("--keep", "--create", at("new"), at("new"))).contains("given twice");
        assertThat(refusal("--keep", "--create", "--force", at("a"), at("symbolic"))).contains("the same file");
    }

    @Test
    void replicasOfDifferentSets() {
        create("a", "b");
        create("c", "d");
        assertThat(refusal("--keep", at("a"), at("d"))).contains("different sets");
    }

    @Test
    void aReplicaThatMayBeStale() {
        create("a", "b");
        assertThat(refusal("--keep", at("a"))).contains("replica 1 not given", "--degraded");
    }

    @Test
    void whatIsThereIsNotOverwritten() throws IOException {
        create("a", "b");
        byte[] before = Files.readAllBytes(at("a"));

        assertThat(refusal("--keep", "--create", at("c"), at("a"))).contains(at("a") + " exists and is not empty", "--force");
        assertThat(refusal(at("a"), at("b"))).as("the demonstration neither").contains("--force");

        assertThat(Files.readAllBytes(at("a"))).isEqualTo(before);
        assertThat(at("c")).doesNotExist();
    }

    @Test
    void aPortForMetricsThatIsInUse() throws IOException {
        create("a", "b");
        try (ServerSocket other = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            assertThat(refusal("--keep", "--metrics", other.getLocalPort(), at("a"), at("b")))
                    .contains("no metrics on port " + other.getLocalPort(), "in use").hasLineCount(1);
        }
        assertThat(refusal("--keep", "--metrics", 70_000, at("a"), at("b"))).contains("70000").hasLineCount(1);
    }

    @Test
    void impossibleNumbers() {
        assertThat(refusal("--size", "1000", at("a"), at("b"))).contains("1000 bytes", "multiple of its block size, 4096");
        assertThat(refusal("--size", "0", at("a"), at("b"))).contains("0 bytes", "positive");
        assertThat(refusal("--size", "-4096", at("a"), at("b"))).contains("-4096 bytes", "positive");
        assertThat(refusal("--size", "much", at("a"), at("b"))).contains("\"much\" is no size");
        assertThat(refusal(at("a"))).contains("1 replicas: from 2 to 8");
        assertThat(refusal("--quorum", "3", at("a"), at("b"))).contains("a quorum of 3", "from 1 to 2");
        assertThat(refusal("--quorum", "0", at("a"), at("b"))).contains("a quorum of 0");
        assertThat(refusal("--replica-timeout", "0", at("a"), at("b"))).contains("replica timeout of 0.0 s");
        assertThat(folder).isEmptyDirectory();
    }

    @Test
    void sizesForPeople() {
        assertThat(Bytes.parse("4096")).isEqualTo(4096);
        assertThat(Bytes.parse("256M")).isEqualTo(256 << 20);
        assertThat(Bytes.parse("4GiB")).isEqualTo(4L << 30);
        assertThat(Bytes.parse("1t")).isEqualTo(1L << 40);
    }

    @Test
    void aForcedSetIsAnEmptyOne() throws IOException {
        create("a", "b");
        byte[] full = Files.readAllBytes(at("a"));
        full[(int) ReplicaHeader.DATA_OFFSET] = 7;
        Files.write(at("a"), full);

        ReplicaFile.create(List.of(at("a"), at("b")), SIZE, 1, true);

        assertThat(Files.mismatch(at("a"), at("b"))).as("only the headers differ").isLessThan(ReplicaHeader.DATA_OFFSET);
        assertThat(Files.readAllBytes(at("a"))[(int) ReplicaHeader.DATA_OFFSET]).isZero();
    }
}
