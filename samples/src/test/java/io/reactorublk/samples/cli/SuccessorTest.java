package io.reactorublk.samples.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import reactor.core.publisher.Mono;

/** What the server of a device and the next one say to each other, and what it means if one of them dies. */
@Timeout(20)
class SuccessorTest {

    private static final Duration LIMIT = Duration.ofSeconds(10);

    @TempDir
    Path folder;

    private Path path;
    private Door door;

    @BeforeEach
    void openDoor() throws IOException {
        path = folder.resolve("ublkb0.sock");
        door = open();
    }

    private Door open() throws IOException {
        return Door.open(path, new Statistics(), true, bytes -> {});
    }

    @AfterEach
    void close() throws IOException {
        door.close();
    }

    private Predecessor predecessor() {
        return Lines.to(path).map(Predecessor::new).orElseThrow();
    }

    private Successor successor() {
        return Objects.requireNonNull(door.successor().block(LIMIT));
    }

    private static <T> CompletableFuture<T> meanwhile(Supplier<T> body) {
        return CompletableFuture.supplyAsync(body, task -> Thread.ofPlatform().daemon().start(task)).orTimeout(LIMIT.toSeconds(), TimeUnit.SECONDS);
    }

    private static CompletableFuture<Boolean> handsOver(Predecessor predecessor) {
        return meanwhile(() -> {
            predecessor.handsOver();
            return true;
        });
    }

    @Test
    void theDeviceIsAskedForAndHandedOver() {
        try (Predecessor predecessor = predecessor()) {
            CompletableFuture<Boolean> asked = handsOver(predecessor);
            CompletableFuture<Boolean> taken = meanwhile(successor()::takesOver);
            assertThat(asked.join()).isTrue();
            assertThat(taken).isNotDone();
            predecessor.mayEnd();
            assertThat(taken.join()).isTrue();
        }
    }

    @Test
    void whoFailsLearnsThatTheDeviceIsTakenBack() {
        try (Predecessor predecessor = predecessor()) {
            CompletableFuture<Boolean> asked = handsOver(predecessor);
            Successor successor = successor();
            CompletableFuture<Boolean> taken = meanwhile(successor::takesOver);
            asked.join();
            CompletableFuture<String> obstacle = meanwhile(() -> String.valueOf(predecessor.takesBack()));
            assertThat(taken.join()).isFalse();
            successor.hasFailed();
            assertThat(obstacle.join()).isEqualTo("null");
        }
    }

    @Test
    void whyItIsNotTakenBackIsTold() {
        try (Predecessor predecessor = predecessor()) {
            CompletableFuture<Boolean> asked = handsOver(predecessor);
            Successor successor = successor();
            CompletableFuture<Boolean> taken = meanwhile(successor::takesOver);
            asked.join();
            CompletableFuture<String> obstacle = meanwhile(predecessor::takesBack);
            taken.join();
            successor.refuse("no\nmemory");
            assertThat(obstacle.join()).isEqualTo("no memory");
        }
    }

    @Test
    void whoDiesBeforeItServesHasFailed() {
        Predecessor predecessor = predecessor();
        CompletableFuture<Boolean> asked = handsOver(predecessor);
        CompletableFuture<Boolean> taken = meanwhile(successor()::takesOver);
        asked.join();
        predecessor.close();
        assertThat(taken.join()).isFalse();
    }

    @Test
    void whoDiesWhileItHandsOverHasHandedOver() {
        try (Predecessor predecessor = predecessor()) {
            CompletableFuture<Boolean> asked = handsOver(predecessor);
            successor().close();
            assertThat(asked.join()).isTrue();
            assertThat(predecessor.takesBack()).isEqualTo("it has ended, or stands still");
        }
    }

    @Test
    void whoGoesOnSaysWhy() {
        try (Predecessor predecessor = predecessor()) {
            CompletableFuture<Boolean> asked = handsOver(predecessor);
            successor().refuse("it has not answered everything");
            assertThatThrownBy(asked::join).hasCauseInstanceOf(FailedException.class)
                    .hasMessageContaining("it has not answered everything");
        }
    }

    @Test
    void whoIsInTheForegroundGoesOn() throws IOException {
        door.close();
        door = Door.open(path, new Statistics(), false, bytes -> {});
        try (Predecessor predecessor = predecessor()) {
            assertThatThrownBy(predecessor::handsOver).isInstanceOf(FailedException.class).hasMessageContaining("--foreground");
        }
    }

    @Test
    void theFirstThatAsksIsHeardWhoeverElseComes() throws IOException {
        try (SocketChannel silent = SocketChannel.open(UnixDomainSocketAddress.of(path));
                Predecessor wrong = predecessor();
                Predecessor predecessor = predecessor();
                Predecessor late = predecessor()) {
            wrong.mayEnd();
            CompletableFuture<Boolean> asked = handsOver(predecessor);
            Successor successor = successor();
            assertThatThrownBy(late::handsOver).hasMessage("another process is just taking it over");
            CompletableFuture<Boolean> taken = meanwhile(successor::takesOver);
            assertThat(asked.join()).isTrue();
            predecessor.mayEnd();
            assertThat(taken.join()).isTrue();
            assertThat(silent.isConnected()).isTrue();
        }
    }

    @Test
    void whoComesWhenTheFirstHasFailedIsHeard() {
        try (Predecessor first = predecessor(); Predecessor second = predecessor()) {
            CompletableFuture<Boolean> asked = handsOver(first);
            successor().refuse("it has not answered everything");
            assertThatThrownBy(asked::join).hasCauseInstanceOf(FailedException.class);

            Mono<Successor> next = door.successor();
            CompletableFuture<Boolean> askedAgain = handsOver(second);
            CompletableFuture<Boolean> taken = meanwhile(Objects.requireNonNull(next.block(LIMIT))::takesOver);
            assertThat(askedAgain.join()).isTrue();
            second.mayEnd();
            assertThat(taken.join()).isTrue();
        }
    }

    /** It is there before the last one has gone. */
    @Test
    void whoClosesLeavesTheDoorOfTheNextServerOpen() throws IOException {
        try (Door next = open()) {
            door.close();
            try (Predecessor predecessor = predecessor()) {
                CompletableFuture<Boolean> asked = handsOver(predecessor);
                Objects.requireNonNull(next.successor().block(LIMIT)).refuse("not yet");
                assertThatThrownBy(asked::join).hasMessageContaining("not yet");
            }
        }
        assertThat(path).doesNotExist();
    }

    @Test
    void whoTalksWithoutAnEndIsNotListenedTo() throws IOException {
        try (SocketChannel caller = SocketChannel.open(UnixDomainSocketAddress.of(path))) {
            CompletableFuture<Integer> answer = meanwhile(() -> {
                try {
                    for (int i = 0; i < 100; i++) caller.write(ByteBuffer.allocate(4096));
                } catch (IOException hungUp) {
                    // As it should.
                }
                try {
                    return caller.read(ByteBuffer.allocate(1));
                } catch (IOException hungUp) {
                    return -1;
                }
            });
            assertThat(answer.join()).isEqualTo(-1);
        }
    }

    /** As one does that was stopped. */
    @Test
    void whoSaysNothingIsNotWaitedForForEver() throws IOException {
        door.close();
        try (ServerSocketChannel silent = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
            silent.bind(UnixDomainSocketAddress.of(path));
            try (Lines lines = Lines.to(path).orElseThrow()) {
                assertThat(lines.read(Duration.ofMillis(10))).isNull();
                assertThat(lines.isClosed()).as("given up").isTrue();
            }
        }
    }

    @Test
    void whoHasEndedHasNotBeenGivenUp() throws IOException {
        try (Lines lines = Lines.to(path).orElseThrow()) {
            lines.write("nothing that is understood");
            assertThat(lines.read(LIMIT)).isNull();
            assertThat(lines.isClosed()).as("given up").isFalse();
        }
    }

    @Test
    void onlyItsOwnerComesIn() throws IOException {
        assertThat(Files.getPosixFilePermissions(path)).isEqualTo(PosixFilePermissions.fromString("rw-------"));
    }

    @Test
    void behindAClosedDoorAndThatOfADeadProcessIsNobody() throws IOException {
        door.close();
        assertThat(path).doesNotExist();
        assertThat(Lines.to(path).map(Predecessor::new)).isEmpty();

        try (ServerSocketChannel dead = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
            dead.bind(UnixDomainSocketAddress.of(path));
        }
        assertThat(path).exists();
        assertThat(Lines.to(path).map(Predecessor::new)).isEmpty();
        door = open();
        predecessor().close();
    }
}
