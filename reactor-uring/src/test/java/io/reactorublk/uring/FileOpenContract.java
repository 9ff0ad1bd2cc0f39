package io.reactorublk.uring;

import static java.nio.file.StandardOpenOption.APPEND;
import static java.nio.file.StandardOpenOption.CREATE;
import static java.nio.file.StandardOpenOption.CREATE_NEW;
import static java.nio.file.StandardOpenOption.DELETE_ON_CLOSE;
import static java.nio.file.StandardOpenOption.DSYNC;
import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.SPARSE;
import static java.nio.file.StandardOpenOption.SYNC;
import static java.nio.file.StandardOpenOption.TRUNCATE_EXISTING;
import static java.nio.file.StandardOpenOption.WRITE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.OpenOption;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Mono;

/** Opening a file. */
abstract class FileOpenContract extends FileHarness {

    @Test
    void aFileKnowsItsPathAndItsLoop() {
        Path path = world.file(bytes("abc"));
        UringFile file = open(path, READ);
        assertThat(file.path()).isEqualTo(path);
        assertThat(file.loop()).isSameAs(loop);
        assertThat(file).hasToString("UringFile(" + path + ")");
    }

    @Test
    void withoutOptionsAFileIsOpenedForReading() {
        UringFile file = open(world.file(bytes("abc")));
        assertThat(read(file, buffer(3), 0)).isEqualTo(3);
        assertRefused(Errno.EBADF, file.write(buffer("x"), 0));
    }

    @Test
    void aMissingFileIsRefused() {
        Path path = world.freshPath();
        assertRefused(Errno.ENOENT, UringFile.open(loop, path, READ))
                .hasMessageStartingWith("open " + path + ": ENOENT").hasMessageContaining("CREATE would make one");
    }

    @Test
    void aMissingDirectoryIsRefused() {
        assertRefused(Errno.ENOENT, UringFile.open(loop, world.freshPath().resolve("file"), WRITE, CREATE))
                .hasMessageContaining("Its directory does not exist");
    }

    @Test
    void createMakesAFile() {
        Path path = world.freshPath();
        write(open(path, WRITE, CREATE), buffer("abc"), 0);
        assertThat(world.content(path)).isEqualTo(bytes("abc"));
    }

    @Test
    void createLeavesAFileAsItIs() {
        Path path = world.file(bytes("abc"));
        open(path, WRITE, CREATE);
        assertThat(world.content(path)).isEqualTo(bytes("abc"));
    }

    @Test
    void createNewRefusesAFileThatIsThere() {
        assertRefused(Errno.EEXIST, UringFile.open(loop, world.file(bytes("abc")), WRITE, CREATE_NEW))
                .hasMessageContaining("CREATE instead of CREATE_NEW");
        Path path = world.freshPath();
        open(path, WRITE, CREATE_NEW);
        assertThat(world.content(path)).isEmpty();
    }

    @Test
    void truncateExistingEmptiesAFile() {
        Path path = world.file(bytes("abc"));
        open(path, WRITE, TRUNCATE_EXISTING);
        assertThat(world.content(path)).isEmpty();
    }

    @Test
    void synchronousFilesAreWrittenLikeOthers() {
        Path path = world.file(bytes("abcd"));
        write(open(path, WRITE, DSYNC), buffer("x"), 0);
        write(open(path, WRITE, SYNC), buffer("y"), 3);
        assertThat(world.content(path)).isEqualTo(bytes("xbcy"));
    }

    @Test
    void aDirectoryCannotBeOpenedForWriting() {
        assertRefused(Errno.EISDIR, UringFile.open(loop, world.directory(), WRITE)).hasMessageContaining("directory");
    }

    @Test
    void aFileSystemWithoutDirectAccessSaysSo() {
        assertRefused(Errno.EINVAL, UringFile.open(loop, world.fileWithoutDirect(), READ, UringOpenOption.DIRECT))
                .hasMessageContaining("does not support O_DIRECT");
    }

    @Test
    void aPathThatIsTooLongIsRefused() {
        assertRefused(Errno.ENAMETOOLONG, UringFile.open(loop, Path.of("/" + "x".repeat(5000))));
        assertRefused(Errno.ENAMETOOLONG, UringFile.open(loop, Path.of("/" + "x".repeat(50_000))));
    }

    @Test
    void anUnsupportedOptionIsRefusedAtOnceWithARemedy() {
        assertUnsupported(APPEND, "status().size()");
        assertUnsupported(DELETE_ON_CLOSE, "Files.delete");
        assertUnsupported(SPARSE, "leave it out");
        assertUnsupported(java.nio.file.LinkOption.NOFOLLOW_LINKS, "UringOpenOption.DIRECT");
    }

    private void assertUnsupported(OpenOption option, String remedy) {
        assertThatThrownBy(() -> UringFile.open(loop, Path.of("x"), WRITE, option))
                .isInstanceOf(UnsupportedOperationException.class)
                .hasMessageContaining(option.toString()).hasMessageContaining(remedy);
    }

    @Test
    void optionsThatContradictEachOtherAreRefusedAtOnce() {
        for (OpenOption option : new OpenOption[] {CREATE, CREATE_NEW, TRUNCATE_EXISTING}) {
            assertThatThrownBy(() -> UringFile.open(loop, Path.of("x"), READ, option))
                    .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("need WRITE");
        }
    }

    @Test
    void nothingIsOpenedBeforeItIsRequested() {
        Path path = world.freshPath();
        Mono<UringFile> open = UringFile.open(loop, path, WRITE, CREATE);
        Signals<UringFile> signals = subscribe(open, 0);
        onLoop(() -> {});
        world.settle();
        assertRefused(Errno.ENOENT, UringFile.open(loop, path, READ));
        signals.request(1);
        world.await(() -> signals.heard.size() == 2);
        assertThat(world.content(path)).isEmpty();
        world.get(((UringFile) signals.heard.getFirst()).close());
    }

    @Test
    void eachSubscriptionOpensAFileOfItsOwn() {
        Mono<UringFile> open = UringFile.open(loop, world.file(bytes("abc")), READ);
        UringFile first = world.get(open);
        UringFile second = world.get(open);
        world.get(first.close());
        assertThat(read(second, buffer(3), 0)).isEqualTo(3);
        world.get(second.close());
    }

    @Test
    void aFailedOpenLeavesNothingBehind() {
        long descriptors = world.descriptors();
        long mapped = spy.memoryStillMapped();
        Mono<UringFile> missing = UringFile.open(loop, world.freshPath(), READ);
        for (int i = 0; i < 20; i++) assertRefused(Errno.ENOENT, missing);
        assertThat(world.descriptors()).isEqualTo(descriptors);
        assertThat(spy.memoryStillMapped()).isEqualTo(mapped);
    }

    @Test
    void aDirectoryNamesItsFiles() {
        Path file = world.file(bytes("abc"));
        assertThat(kernel().list(file.getParent().toString())).contains(file.getFileName().toString()).doesNotContain(".", "..");
    }

    @Test
    void aFileIsNoDirectoryToBeListed() {
        assertThatThrownBy(() -> kernel().list(world.file(bytes("abc")).toString())).isInstanceOf(KernelException.class);
        assertThatThrownBy(() -> kernel().list(world.freshPath().toString())).isInstanceOf(KernelException.class)
                .hasMessageContaining("ENOENT");
    }
}
