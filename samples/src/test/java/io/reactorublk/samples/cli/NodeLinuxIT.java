package io.reactorublk.samples.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.reactorublk.uring.Errno;
import io.reactorublk.uring.Kernel;
import io.reactorublk.uring.KernelException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** To whom a file goes when another one takes its place. */
class NodeLinuxIT {

    @TempDir
    Path folder;

    private Path path;
    private int uid;
    private int gid;

    @BeforeEach
    void makeFile() throws IOException {
        path = folder.resolve("node");
        make();
        uid = (int) Files.getAttribute(path, "unix:uid");
        gid = (int) Files.getAttribute(path, "unix:gid");
    }

    private void make() throws IOException {
        Files.createFile(path);
        Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rw-rw----"));
    }

    private String mode(Path file) throws IOException {
        return PosixFilePermissions.toString(Files.getPosixFilePermissions(file));
    }

    @Test
    void theFileThatIsHeldIsGiven() throws IOException {
        Path other = folder.resolve("other");
        try (Node node = Node.hold(Kernel.linux(), path)) {
            Files.move(path, other);
            make();
            node.giveTo(uid, gid);
        }
        assertThat(mode(other)).isEqualTo("rw-------");
        assertThat(mode(path)).isEqualTo("rw-rw----");
    }

    @Test
    void whatIsGoneIsGivenToo() throws IOException {
        try (Node node = Node.hold(Kernel.linux(), path)) {
            Files.delete(path);
            make();
            node.giveTo(uid, gid);
        }
        assertThat(mode(path)).isEqualTo("rw-rw----");
    }

    @Test
    void thereIsNothingToHold() throws IOException {
        Files.delete(path);
        assertThatThrownBy(() -> Node.hold(Kernel.linux(), path)).isInstanceOfSatisfying(KernelException.class,
                e -> assertThat(e.errno()).isEqualTo(Errno.ENOENT));
    }
}
