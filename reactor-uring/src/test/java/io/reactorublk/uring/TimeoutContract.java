package io.reactorublk.uring;

import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.uring.World.Pipe;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** The ring's own clocks. Long times are never waited for, short ones only bound from below. */
abstract class TimeoutContract extends RingHarness {

    private static final long NEVER_MILLIS = TimeUnit.HOURS.toMillis(1);

    @Test
    void aTimeoutEndsWithEtimeAndNotBeforeItsTime() {
        long start = kernel().nanoTime();
        stage("timeout").timeout(timespec(20), 0, 0);
        awaitAll();
        assertThat(result("timeout")).isEqualTo(ETIME);
        assertThat(kernel().nanoTime() - start).isGreaterThanOrEqualTo(TimeUnit.MILLISECONDS.toNanos(20));
    }

    @Test
    void timeoutsEndInTheOrderOfTheirTimes() {
        stage("late").timeout(timespec(200), 0, 0);
        stage("early").timeout(timespec(1), 0, 0);
        awaitAll();
        assertThat(done).extracting(Done::name).containsExactly("early", "late");
    }

    @Test
    void aTimeoutWithACountEndsWithSoManyCompletions() {
        Pipe pipe = world.pipe();
        stage("timeout").timeout(timespec(NEVER_MILLIS), 2, 0);
        stage("first").read(pipe.reader(), buffer(1), 0);
        stage("second").read(pipe.reader(), buffer(1), 0);
        submit();
        stage("write").write(pipe.writer(), buffer("xy"), 0);
        awaitAll();
        assertThat(result("timeout")).isZero();
    }

    @Test
    void aWaitForMoreEndsWithATimeout() {
        stage("timeout").timeout(timespec(1), 0, 0);
        ring.expectInline();
        ring.enter(true, Ring.FOREVER);
        ring.reap();
        assertThat(result("timeout")).isEqualTo(ETIME);
    }

    @Test
    void aTimeoutCanBeCancelled() {
        long id = stage("timeout").timeout(timespec(NEVER_MILLIS), 0, 0).id();
        submit();
        ring.cancel(id);
        awaitAll();
        assertThat(result("timeout")).isEqualTo(ECANCELED);
    }

    @Test
    void aLinkTimeoutCancelsWhatTakesTooLong() {
        Pipe pipe = world.pipe();
        stage("read").read(pipe.reader(), buffer(1), 0).link();
        stage("limit").linkTimeout(timespec(1), 0);
        awaitAll();
        assertThat(result("read")).isEqualTo(ECANCELED);
        assertThat(result("limit")).isEqualTo(ETIME);
    }

    @Test
    void aLinkTimeoutThatIsNotNeededIsCancelled() {
        Pipe pipe = world.pipe();
        stage("read").read(pipe.reader(), buffer(1), 0).link();
        stage("limit").linkTimeout(timespec(NEVER_MILLIS), 0);
        submit();
        write(pipe, "x");
        awaitAll();
        assertThat(result("read")).isEqualTo(1);
        assertThat(result("limit")).isEqualTo(ECANCELED);
    }
}
