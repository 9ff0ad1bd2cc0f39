package io.reactorublk.uring;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import io.reactorublk.uring.World.Pipe;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** A loop's turn: tasks, hooks, completions. */
abstract class EventLoopContract extends LoopHarness {

    @Test
    void aTaskRunsInTheLoop() {
        AtomicBoolean inLoop = new AtomicBoolean();
        onLoop(() -> inLoop.set(loop.inLoop()));
        assertThat(inLoop).isTrue();
        assertThat(loop.inLoop()).isFalse();
    }

    @Test
    void executeOnTheLoopRunsAtOnce() {
        List<String> order = Collections.synchronizedList(new ArrayList<>());
        onLoop(() -> {
            loop.execute(() -> order.add("inner"));
            order.add("outer");
        });
        assertThat(order).containsExactly("inner", "outer");
    }

    @Test
    void scheduleOnTheLoopRunsLater() {
        List<String> order = Collections.synchronizedList(new ArrayList<>());
        onLoop(() -> {
            loop.schedule(() -> order.add("inner"));
            order.add("outer");
        });
        world.await(() -> order.size() == 2);
        assertThat(order).containsExactly("outer", "inner");
    }

    @Test
    void tasksOfOneThreadRunInTheirOrder() {
        List<Integer> order = Collections.synchronizedList(new ArrayList<>());
        for (int i = 0; i < 5000; i++) {
            int number = i;
            loop.execute(() -> order.add(number));
        }
        world.await(() -> order.size() == 5000);
        assertThat(order).isEqualTo(IntStream.range(0, 5000).boxed().toList());
    }

    @Test
    void noTaskOfManyThreadsIsLost() throws InterruptedException {
        AtomicInteger ran = new AtomicInteger();
        CountDownLatch start = new CountDownLatch(1);
        List<Thread> threads = new ArrayList<>();
        for (int t = 0; t < 8; t++) {
            threads.add(Thread.ofPlatform().start(() -> {
                awaitUninterruptibly(start);
                for (int i = 0; i < 5000; i++) loop.execute(ran::incrementAndGet);
            }));
        }
        start.countDown();
        for (Thread thread : threads) thread.join();
        world.await(() -> ran.get() == 40_000);
    }

    private static void awaitUninterruptibly(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    @Test
    void aTaskThatThrowsCostsNobodyElse() {
        try (LogCapture log = LogCapture.of(EventLoop.class)) {
            loop.execute(() -> { throw new IllegalStateException("as the test wants it"); });
            AtomicBoolean ran = new AtomicBoolean();
            onLoop(() -> ran.set(true));
            assertThat(ran).isTrue();
            assertThat(log.thrown()).containsExactly("as the test wants it");
        }
    }

    @Test
    void aSleepingLoopIsWokenOnceForATask() {
        world.await(() -> {                                            // a task may still come before it sleeps
            world.settle();
            int before = spy.calls("eventfdWrite");
            onLoop(() -> {});
            int wakeUps = spy.calls("eventfdWrite") - before;
            assertThat(wakeUps).isLessThanOrEqualTo(1);
            return wakeUps == 1;
        });
    }

    @Test
    void aLoopIsNotWokenByItsOwnTasks() {
        AtomicInteger wakeUps = new AtomicInteger(-1);
        onLoop(() -> {
            int before = spy.calls("eventfdWrite");
            for (int i = 0; i < 100; i++) loop.execute(() -> {});
            loop.schedule(() -> wakeUps.set(spy.calls("eventfdWrite") - before));
        });
        world.await(() -> wakeUps.get() >= 0);
        assertThat(wakeUps).hasValue(0);
    }

    @Test
    void aWokenLoopCanBeWokenAgain() {
        for (int i = 0; i < 100; i++) onLoop(() -> {});
        AtomicInteger turns = new AtomicInteger();
        loop.beforeEnter(turns::incrementAndGet);
        world.settle();
        int before = turns.get();
        loop.wakeUp();
        world.await(() -> turns.get() > before);
    }

    @Test
    void anIdleLoopSleeps() {
        AtomicInteger turns = new AtomicInteger();
        loop.beforeEnter(turns::incrementAndGet);
        onLoop(() -> {});
        world.await(() -> {
            int before = turns.get();
            world.settle();
            return turns.get() == before;
        });
    }

    @Test
    void aLoopSleepsThroughWhatItExpectsAtOnce() {
        world.await(() -> {                                            // a wake-up that comes late is a completion, too
            AtomicInteger told = new AtomicInteger();
            onLoop(() -> {
                loop.ring().stage((result, flags) -> told.incrementAndGet()).nop();
                loop.ring().expectInline();
            });
            world.settle();
            boolean sleeps = told.get() == 0;
            onLoop(() -> {});
            world.await(() -> told.get() == 1);
            return sleeps;
        });
    }

    @Test
    void hooksStageJustBeforeTheKernelIsEntered() {
        AtomicInteger result = new AtomicInteger(-1);
        AtomicReference<Disposable> hook = new AtomicReference<>();
        onLoop(() -> {
            long before = loop.ring().enters();
            AtomicBoolean staged = new AtomicBoolean();
            hook.set(loop.beforeEnter(() -> {
                if (staged.getAndSet(true)) return;
                loop.ring().stage((r, flags) -> result.set((int) (loop.ring().enters() - before))).nop();
            }));
        });
        world.await(() -> result.get() >= 0);
        assertThat(result).as("system calls from hook to completion").hasValue(1);
        hook.get().dispose();
    }

    @Test
    void ofSoManyTurnsOneIsToldOf() {
        AtomicInteger turns = new AtomicInteger();
        AtomicInteger told = new AtomicInteger();
        AtomicReference<Disposable> samples = new AtomicReference<>();
        onLoop(() -> {
            loop.beforeEnter(() -> {
                if (turns.incrementAndGet() < 10 * EventLoop.TURNS_A_SAMPLE) loop.wakeUp();
            });
            samples.set(loop.sampleTurns(nanos -> {
                assertThat(nanos).isNotNegative();
                told.incrementAndGet();
            }));
        });
        world.await(() -> turns.get() >= 10 * EventLoop.TURNS_A_SAMPLE);
        onLoop(() -> {});
        assertThat(told.get()).isBetween(9, 12);

        samples.get().dispose();
        onLoop(() -> {});
        int before = told.get();
        for (int i = 0; i < 2 * EventLoop.TURNS_A_SAMPLE; i++) onLoop(() -> {});
        assertThat(told).as("after its end").hasValue(before);
    }

    @Test
    void whoFailsToHearOfATurnDoesNotEndTheLoop() {
        onLoop(() -> loop.sampleTurns(nanos -> {
            throw new AssertionError("a test");
        }));
        AtomicInteger ran = new AtomicInteger();
        try (LogCapture log = LogCapture.of(TurnSamples.class)) {
            for (int i = 0; i < 2 * EventLoop.TURNS_A_SAMPLE; i++) onLoop(ran::incrementAndGet);
            assertThat(log.thrown()).isNotEmpty();
        }
        assertThat(ran).hasValue(2 * EventLoop.TURNS_A_SAMPLE);
    }

    @Test
    void aHookThatWasTakenAwayRunsNoMore() {
        AtomicInteger runs = new AtomicInteger();
        Disposable hook = loop.beforeEnter(runs::incrementAndGet);
        world.await(() -> runs.get() > 0);
        hook.dispose();
        onLoop(() -> {});
        int before = runs.get();
        onLoop(() -> {});
        assertThat(runs).hasValue(before);
    }

    @Test
    void operationsCompleteOnTheLoop() {
        Pipe pipe = world.pipe();
        IoBuffer.Segment buffer = buffer(5);
        AtomicBoolean onLoop = new AtomicBoolean();
        AtomicInteger result = new AtomicInteger(Integer.MIN_VALUE);
        loop.execute(() -> loop.ring().stage((r, flags) -> {
            onLoop.set(loop.inLoop());
            result.set(r);
        }).read(pipe.reader(), buffer, 0));
        onLoop(() -> loop.ring().stage(CompletionHandler.IGNORE).write(pipe.writer(), buffer("hello"), 0));
        world.await(() -> result.get() != Integer.MIN_VALUE);
        assertThat(result).hasValue(5);
        assertThat(onLoop).isTrue();
        assertThat(text(buffer)).isEqualTo("hello");
    }

    @Test
    void publishOnBringsAPipelineToTheLoop() {
        List<Boolean> inLoop = world.get(
                Flux.range(0, 1000).publishOn(loop).map(i -> loop.inLoop()).collectList());
        assertThat(inLoop).hasSize(1000).containsOnly(true);
    }

    @Test
    void subscribeOnStartsOnTheLoop() {
        boolean inLoop = world.get(Mono.fromCallable(loop::inLoop).subscribeOn(loop));
        assertThat(inLoop).isTrue();
    }

    @Test
    void aLoopIsBoundToACpu() {
        BitSet one = new BitSet();
        one.set(world.affinity(loop).nextSetBit(0));
        onLoop(() -> kernel().schedSetaffinity(one));
        assertThat(world.affinity(loop)).isEqualTo(one);
    }

    @Test
    void nobodyIsBoundToNoCpu() {
        AtomicReference<Throwable> refusal = new AtomicReference<>();
        onLoop(() -> refusal.set(catchThrowable(() -> kernel().schedSetaffinity(new BitSet()))));
        assertThat(refusal.get()).isInstanceOfSatisfying(KernelException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EINVAL));
    }

    @Test
    void aLoopKnowsItsName() {
        assertThat(loop.name()).isEqualTo("loop-under-test");
        assertThat(loop).hasToString("EventLoop(loop-under-test)");
    }
}
