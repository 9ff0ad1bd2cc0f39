package io.reactorublk.uring;

import static java.util.concurrent.TimeUnit.DAYS;
import static java.util.concurrent.TimeUnit.HOURS;
import static java.util.concurrent.TimeUnit.MILLISECONDS;
import static java.util.concurrent.TimeUnit.NANOSECONDS;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler.Worker;

/** A loop as a Reactor Scheduler: timers and workers. */
abstract class LoopTimerContract extends LoopHarness {

    private final List<String> order = Collections.synchronizedList(new ArrayList<>());

    @Test
    void timersRunInTheOrderOfTheirTimes() {
        onLoop(() -> {
            spy.stopClock();
            loop.schedule(() -> order.add("third"), 30, MILLISECONDS);
            loop.schedule(() -> order.add("first"), 10, MILLISECONDS);
            loop.schedule(() -> order.add("second"), 20, MILLISECONDS);
            spy.startClock();
        });
        world.await(() -> order.size() == 3);
        assertThat(order).containsExactly("first", "second", "third");
    }

    @Test
    void timersOfOneTimeRunInTheOrderTheyWereMade() {
        onLoop(() -> {
            spy.stopClock();
            for (int i = 0; i < 100; i++) {
                String name = "timer " + i;
                loop.schedule(() -> order.add(name), 1, MILLISECONDS);
            }
            spy.startClock();
        });
        world.await(() -> order.size() == 100);
        assertThat(order).isEqualTo(IntStream.range(0, 100).mapToObj(i -> "timer " + i).toList());
    }

    @Test
    void aTimerDoesNotRunBeforeItsTime() {
        long start = kernel().nanoTime();
        AtomicLong ran = new AtomicLong();
        loop.schedule(() -> ran.set(kernel().nanoTime()), 20, MILLISECONDS);
        world.await(() -> ran.get() != 0);
        assertThat(ran.get() - start).isGreaterThanOrEqualTo(MILLISECONDS.toNanos(20));
    }

    @Test
    void aCancelledTimerDoesNotRun() {
        spy.stopClock();
        Disposable timer = loop.schedule(() -> order.add("cancelled"), 5, MILLISECONDS);
        timer.dispose();
        spy.startClock();
        loop.schedule(() -> order.add("later"), 10, MILLISECONDS);
        world.await(() -> order.contains("later"));
        assertThat(order).containsExactly("later");
        assertThat(timer.isDisposed()).isTrue();
    }

    @Test
    void aTimerMayCancelOneThatIsDueWithIt() {
        onLoop(() -> {
            AtomicReference<Disposable> second = new AtomicReference<>();
            loop.schedule(() -> second.get().dispose(), 0, MILLISECONDS);
            second.set(loop.schedule(() -> order.add("cancelled"), 0, MILLISECONDS));
            loop.schedule(() -> order.add("later"), 5, MILLISECONDS);
        });
        world.await(() -> order.contains("later"));
        assertThat(order).containsExactly("later");
    }

    @Test
    void aPeriodicTimerRunsUntilItIsCancelled() {
        AtomicInteger runs = new AtomicInteger();
        AtomicReference<Disposable> timer = new AtomicReference<>();
        onLoop(() -> timer.set(loop.schedulePeriodically(() -> {
            if (runs.incrementAndGet() == 3) timer.get().dispose();
        }, 0, 1, MILLISECONDS)));
        loop.schedule(() -> order.add("later"), 50, MILLISECONDS);
        world.await(() -> order.contains("later"));
        world.await(() -> runs.get() >= 3);
        world.settle();
        assertThat(runs).hasValue(3);
    }

    @Test
    void aPeriodicTimerThatCannotKeepUpLeavesTheLoopItsTurns() {
        Disposable timer = loop.schedulePeriodically(() -> {}, 0, 1, NANOSECONDS);
        for (int i = 0; i < 100; i++) onLoop(() -> {});
        timer.dispose();
    }

    @Test
    void aTimerOfTheFarFutureHidesNoOther() {
        loop.schedule(() -> order.add("never"), Long.MAX_VALUE, DAYS);
        Disposable hour = loop.schedule(() -> order.add("never"), 1, HOURS);
        loop.schedule(() -> order.add("soon"), 1, MILLISECONDS);
        world.await(() -> !order.isEmpty());
        assertThat(order).containsExactly("soon");
        hour.dispose();
    }

    @Test
    void aTaskThatWasDisposedDoesNotRun() {
        onLoop(() -> loop.schedule(() -> order.add("disposed")).dispose());
        onLoop(() -> order.add("later"));
        assertThat(order).containsExactly("later");
    }

    @Test
    void theLoopsClockIsTheKernels() {
        long before = kernel().nanoTime();
        long now = loop.now(NANOSECONDS);
        assertThat(now).isBetween(before, kernel().nanoTime());
    }

    @Test
    void delayElementUsesTheLoop() {
        boolean inLoop = world.get(Mono.just("x").delayElement(Duration.ofMillis(1), loop).map(x -> loop.inLoop()));
        assertThat(inLoop).isTrue();
    }

    @Test
    void aWorkerRunsItsTasksInOrder() {
        Worker worker = loop.createWorker();
        for (int i = 0; i < 1000; i++) {
            String name = "task " + i;
            worker.schedule(() -> order.add(name));
        }
        world.await(() -> order.size() == 1000);
        assertThat(order).isEqualTo(IntStream.range(0, 1000).mapToObj(i -> "task " + i).toList());
        worker.dispose();
    }

    @Test
    void aDisposedWorkerRunsNothingMore() {
        Worker worker = loop.createWorker();
        onLoop(() -> {
            worker.schedule(() -> order.add("task"));
            worker.schedule(() -> order.add("timer"), 1, MILLISECONDS);
            worker.schedulePeriodically(() -> order.add("periodic"), 1, 1, MILLISECONDS);
            worker.dispose();
        });
        loop.schedule(() -> order.add("later"), 10, MILLISECONDS);
        world.await(() -> order.contains("later"));
        assertThat(order).containsExactly("later");
        assertThat(worker.isDisposed()).isTrue();
        assertThat(loop.isDisposed()).as("the loop goes on").isFalse();
        assertThatThrownBy(() -> worker.schedule(() -> {})).isInstanceOf(RejectedExecutionException.class);
    }

    @Test
    void oneWorkerDoesNotDisposeAnother() {
        Worker first = loop.createWorker();
        Worker second = loop.createWorker();
        first.dispose();
        second.schedule(() -> order.add("second"));
        world.await(() -> !order.isEmpty());
        second.dispose();
    }
}
