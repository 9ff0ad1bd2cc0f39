package io.reactorublk.uring;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.reactorublk.uring.World.Pipe;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler.Worker;

/** How a loop ends. */
abstract class LoopEndContract extends LoopHarness {

    @Test
    void disposeEndsWhatIsInFlight() {
        Pipe pipe = world.pipe();
        List<Integer> results = Collections.synchronizedList(new ArrayList<>());
        onLoop(() -> {
            for (int i = 0; i < 20; i++) loop.ring().stage((r, flags) -> results.add(r)).read(pipe.reader(), buffer(1), 0);
        });
        world.get(loop.disposeGracefully());
        assertThat(results).hasSize(20).containsOnly(Errno.ECANCELED.result());
    }

    @Test
    void whatHandlersStageWhileTheLoopEndsIsWaitedForToo() {
        Pipe pipe = world.pipe();
        AtomicInteger last = new AtomicInteger(-1);
        onLoop(() -> loop.ring().stage((r, flags) ->
                loop.ring().stage((r2, flags2) -> last.set(r2)).write(pipe.writer(), buffer("bye"), 0))
                .read(pipe.reader(), buffer(1), 0));
        world.get(loop.disposeGracefully());
        assertThat(last).hasValue(3);
    }

    @Test
    void theLastCompletionOfAllIsNotSleptThrough() {
        Pipe pipe = world.pipe();
        onLoop(() -> loop.ring().stage((result, flags) -> {
            loop.ring().stage(CompletionHandler.IGNORE).nop();
            loop.ring().expectInline();
        }).read(pipe.reader(), buffer(1), 0));
        world.get(loop.disposeGracefully());
    }

    @Test
    void tasksAcceptedBeforeTheEndRun() {
        AtomicInteger ran = new AtomicInteger();
        for (int i = 0; i < 5000; i++) loop.execute(ran::incrementAndGet);
        world.get(loop.disposeGracefully());
        assertThat(ran).hasValue(5000);
    }

    @Test
    void everyTaskIsEitherRunOrRejected() throws InterruptedException {
        for (int round = 0; round < 20; round++) {
            EventLoop ending = start(kernel());
            AtomicInteger accepted = new AtomicInteger();
            AtomicInteger ran = new AtomicInteger();
            List<Thread> threads = new ArrayList<>();
            for (int t = 0; t < 4; t++) {
                threads.add(Thread.ofPlatform().start(() -> executeUntilRejected(ending, accepted, ran)));
            }
            ending.schedule(ending::dispose, 1, TimeUnit.MILLISECONDS);
            world.await(ending::isDisposed);
            for (Thread thread : threads) thread.join();
            world.get(ending.disposeGracefully());
            world.await(() -> ran.get() == accepted.get());
        }
    }

    private static void executeUntilRejected(EventLoop loop, AtomicInteger accepted, AtomicInteger ran) {
        try {
            for (int i = 0; i < 1_000_000; i++) {
                loop.execute(ran::incrementAndGet);
                accepted.incrementAndGet();
            }
        } catch (RejectedExecutionException e) {
            assertThat(loop.isDisposed()).isTrue();
        }
    }

    @Test
    void aDisposedLoopRejects() {
        Worker worker = loop.createWorker();
        loop.dispose();
        assertThat(loop.isDisposed()).isTrue();
        assertThatThrownBy(() -> loop.execute(() -> {}))
                .isInstanceOf(RejectedExecutionException.class).hasMessageContaining("loop-under-test");
        assertThatThrownBy(() -> loop.schedule(() -> {})).isInstanceOf(RejectedExecutionException.class);
        assertThatThrownBy(() -> loop.schedule(() -> {}, 1, TimeUnit.SECONDS))
                .isInstanceOf(RejectedExecutionException.class);
        assertThatThrownBy(() -> worker.schedule(() -> {})).isInstanceOf(RejectedExecutionException.class);
        assertThatThrownBy(() -> world.get(Mono.just(1).subscribeOn(loop))).isInstanceOf(RejectedExecutionException.class);
    }

    @Test
    void whatBelongedToADisposedLoopCanStillBeDisposed() {
        Disposable timer = loop.schedule(() -> {}, 1, TimeUnit.HOURS);
        Disposable hook = loop.beforeEnter(() -> {});
        world.get(loop.disposeGracefully());
        timer.dispose();
        hook.dispose();
        assertThat(timer.isDisposed()).isTrue();
    }

    @Test
    void aLoopMayDisposeItself() {
        loop.execute(loop::dispose);
        world.get(loop.disposeGracefully());
    }

    @Test
    void disposingTwiceIsDisposingOnce() {
        loop.dispose();
        loop.dispose();
        world.get(loop.disposeGracefully());
        world.get(loop.disposeGracefully());
    }

    @Test
    void disposeGracefullyIsLazy() {
        Mono<Void> disposal = loop.disposeGracefully();
        assertThat(loop.isDisposed()).isFalse();
        world.get(disposal);
        assertThat(loop.isDisposed()).isTrue();
    }

    @Test
    void disposeGracefullyCompletesAfterTheRingIsClosed() {
        AtomicBoolean unmapped = new AtomicBoolean();
        world.get(loop.disposeGracefully().doOnTerminate(() -> unmapped.set(spy.memoryStillMapped() == 0)));
        assertThat(unmapped).isTrue();
    }

    @Test
    void aThousandLoopsLeaveNothingBehind() {
        world.get(loop.disposeGracefully());
        long before = world.descriptors();
        for (int i = 0; i < 1000; i++) {
            EventLoop brief = EventLoop.start(spy.kernel(), "brief", new RingConfig(1, 1, false));
            if (i % 2 == 0) brief.execute(() -> {});
            world.get(brief.disposeGracefully());
        }
        assertThat(world.descriptors()).isEqualTo(before);
        assertThat(spy.memoryStillMapped()).isZero();
        assertThat(spy.calls("start")).isEqualTo(1001);
    }

    @Test
    void aLoopThatCannotStartLeavesNothingBehind() {
        long before = world.descriptors();
        KernelSpy refusing = new KernelSpy(kernel()).refuse("eventfd", Errno.EMFILE);
        assertThatThrownBy(() -> EventLoop.start(refusing.kernel(), "never", RingConfig.DEFAULT))
                .isInstanceOf(KernelException.class).hasMessageContaining("EMFILE");
        assertThat(world.descriptors()).isEqualTo(before);
        assertThat(refusing.memoryStillMapped()).isZero();
    }
}
