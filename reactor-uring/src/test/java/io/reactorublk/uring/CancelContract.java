package io.reactorublk.uring;

import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.uring.World.Pipe;
import org.junit.jupiter.api.Test;

/** Cancelling operations. */
abstract class CancelContract extends RingHarness {

    @Test
    void whatWaitsInTheKernelCanBeCancelled() {
        Pipe pipe = world.pipe();
        long id = stage("read").read(pipe.reader(), buffer(1), 0).id();
        submit();
        assertThat(done).isEmpty();
        ring.cancel(id);
        assertThat(awaitAll()).containsExactly(new Done("read", ECANCELED, 0));
    }

    @Test
    void whatWasStagedInTheSameTurnCanBeCancelled() {
        Pipe pipe = world.pipe();
        ring.cancel(stage("read").read(pipe.reader(), buffer(1), 0).id());
        assertThat(awaitAll()).containsExactly(new Done("read", ECANCELED, 0));
    }

    @Test
    void aCancellationLeavesTheOthersAlone() {
        Pipe pipe = world.pipe();
        stage("first").read(pipe.reader(), buffer(1), 0);
        long second = stage("second").read(pipe.reader(), buffer(1), 0).id();
        submit();
        ring.cancel(second);
        await(1);
        write(pipe, "x");
        awaitAll();
        assertThat(done).containsExactly(new Done("second", ECANCELED, 0), new Done("first", 1, 0));
    }

    @Test
    void aCancellationThatComesTooLateDoesNothing() {
        long id = stage("nop").nop().id();
        await(1);
        ring.cancel(id);
        assertThat(awaitAll()).containsExactly(new Done("nop", 0, 0));
    }

    @Test
    void aStaleIdDoesNotHitTheNextUserOfItsSlot() {
        Pipe pipe = world.pipe();
        long stale = stage("nop").nop().id();
        await(1);
        long next = stage("read").read(pipe.reader(), buffer(1), 0).id();
        assertThat((int) next).as("slot").isEqualTo((int) stale);
        submit();
        ring.cancel(stale);
        submit();
        assertThat(done).hasSize(1);
        write(pipe, "x");
        awaitAll();
        assertThat(result("read")).isEqualTo(1);
    }

    @Test
    void everythingCanBeCancelledAtOnce() {
        Pipe pipe = world.pipe();
        for (int i = 0; i < 20; i++) stage("read").read(pipe.reader(), buffer(1), 0);
        submit();
        ring.cancelAll();
        assertThat(awaitAll()).hasSize(20).allMatch(d -> d.result() == ECANCELED);
    }

    @Test
    void aCancelledReadTakesNothingFromThePipe() {
        Pipe pipe = world.pipe();
        long id = stage("cancelled").read(pipe.reader(), buffer(1), 0).id();
        submit();
        ring.cancel(id);
        awaitAll();
        write(pipe, "x");
        IoBuffer.Segment buffer = buffer(1);
        stage("read").read(pipe.reader(), buffer, 0);
        awaitAll();
        assertThat(text(buffer)).isEqualTo("x");
    }
}
