package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** What shows only where loops have threads, and a clock that others know. */
class LoopThreadVmIT extends DeviceContract {

    @Override
    DeviceFixture newFixture() {
        return new LinuxDevices();
    }

    @Test
    void serveIsCalledOnTheLoopOfEachQueue() {
        List<String> threads = new CopyOnWriteArrayList<>();
        UblkDevice device = start(server(queue -> {
            threads.add(Thread.currentThread().getName() + " " + queue.loop().inLoop());
            return queue.answer(request -> Mono.just(request.complete()));
        }).queues(2));
        assertThat(threads).containsExactly("ublk-" + device.id() + "-q0 true", "ublk-" + device.id() + "-q1 true");
    }

    @Test
    void aTargetThatBlocksItsLoopIsStopped() {
        AtomicReference<Throwable> thrown = new AtomicReference<>();
        Disk disk = disk(queue -> queue.answer(request -> {
            if (isQuiet(request)) thrown.set(catchThrowable(() -> Mono.delay(Duration.ofMillis(1)).block()));
            return Mono.just(request.complete());
        }));
        read(disk, QUIET, BLOCK);
        assertThat(thrown.get()).isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("not supported in thread ublk-");
    }

    @Test
    void aStartWithADeadlineThatPassesLeavesNothing() {
        BlockTarget late = queue -> Flux.from(queue.answer(request -> Mono.just(request.complete())))
                .delaySubscription(Duration.ofSeconds(1), queue.loop());
        assertThatThrownBy(() -> fixture.get(server(late).start().timeout(Duration.ofMillis(500))))
                .hasCauseInstanceOf(TimeoutException.class);
        assertNothingIsLeft();
    }
}
