package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;
import reactor.test.StepVerifier;

/** What is supervised is there again. With real processes, which need nothing of ublk. */
class SupervisorTest {

    private static final Duration LIMIT = Duration.ofSeconds(20);

    private static Supervisor shell(String script) {
        return Supervisor.of(new ProcessBuilder("sh", "-c", script)).backoff(Duration.ofMillis(1), Duration.ofMillis(20));
    }

    @Test
    void aServerThatDiesIsStartedAgain() {
        StepVerifier.create(shell("exit 3").run().map(Process::pid).distinct().take(4)).expectNextCount(4)
                .expectComplete().verify(LIMIT);
    }

    @Test
    void aServerThatIsKilledIsStartedAgain() {
        List<Process> started = new CopyOnWriteArrayList<>();
        Disposable supervision = shell("exec sleep 1000").run().subscribe(started::add);
        Awaitility.await().atMost(LIMIT).until(() -> started.size() == 1);
        started.getFirst().destroyForcibly();
        Awaitility.await().atMost(LIMIT).until(() -> started.size() == 2);
        assertThat(started.get(0).isAlive()).isFalse();
        assertThat(started.get(1).isAlive()).isTrue();
        supervision.dispose();
        Awaitility.await().atMost(LIMIT).until(() -> !started.get(1).isAlive());
        assertThat(started).hasSize(2);
    }

    /** Who starts again and again must not use up its stack. */
    @Test
    void theFortiethServerIsStartedAsTheSecondWas() {
        List<Integer> depths = Objects.requireNonNull(shell("exit 3").run().map(process -> new Throwable().getStackTrace().length)
                .take(40).collectList().block(LIMIT));
        assertThat(depths.getLast()).isLessThan(2 * depths.get(1));
    }

    /** The sooner or later it is cancelled, the less or more of the start has happened. */
    @Test
    void aSupervisionThatIsCancelledWhileItStartsLeavesNoServer() throws InterruptedException {
        for (int i = 0; i < 30; i++) {
            Disposable supervision = shell("exec sleep 1009").run().subscribe();
            TimeUnit.MICROSECONDS.sleep(200L * i);
            supervision.dispose();
        }
        Awaitility.await().during(Duration.ofMillis(300)).atMost(LIMIT).until(() -> ProcessHandle.current().children()
                .noneMatch(child -> child.isAlive() && child.info().commandLine().orElse("").contains("1009")));
    }

    @Test
    void aServerThatIsDoneIsNot() {
        StepVerifier.create(shell("exit 0").run()).expectNextCount(1).expectComplete().verify(LIMIT);
    }

    @Test
    void pausesGrow() {
        Supervisor slow = Supervisor.of(new ProcessBuilder("false")).backoff(Duration.ofMillis(50), Duration.ofMillis(400));
        long start = System.nanoTime();
        StepVerifier.create(slow.run().take(5)).expectNextCount(5).expectComplete().verify(LIMIT);
        assertThat(Duration.ofNanos(System.nanoTime() - start)).isGreaterThan(Duration.ofMillis(50 + 100 + 200 + 400));
    }

    @Test
    void whatCannotBeStartedIsReported() {
        StepVerifier.create(Supervisor.of(new ProcessBuilder("/no/such/server")).run())
                .expectError(UncheckedIOException.class).verify(LIMIT);
    }

    @Test
    void aPauseThatMakesNoSenseIsRefused() {
        assertThatThrownBy(() -> shell("true").backoff(Duration.ZERO, LIMIT)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> shell("true").backoff(LIMIT, Duration.ofMillis(1)))
                .hasMessage("pauses from PT20S to PT0.001S: the first must be positive and not the longer one");
    }
}
