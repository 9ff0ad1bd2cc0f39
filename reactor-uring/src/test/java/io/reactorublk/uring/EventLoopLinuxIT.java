package io.reactorublk.uring;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;

/** The contracts of a loop, on this machine's kernel; and what only a loop with a thread has. */
class EventLoopLinuxIT {

    @Nested
    class Turns extends EventLoopContract {
        @Override
        World newWorld() {
            return new LinuxWorld();
        }
    }

    @Nested
    class Timers extends LoopTimerContract {
        @Override
        World newWorld() {
            return new LinuxWorld();
        }
    }

    @Nested
    class Ends extends LoopEndContract {
        @Override
        World newWorld() {
            return new LinuxWorld();
        }
    }

    @Nested
    class Threads extends LoopHarness {

        @Override
        World newWorld() {
            return new LinuxWorld();
        }

        @Test
        void blockingOnTheLoopThrows() {
            assertThatThrownBy(() -> world.get(Mono.fromCallable(() -> Mono.never().block()).subscribeOn(loop)))
                    .isInstanceOf(IllegalStateException.class).hasMessageContaining("loop-under-test");
        }

        @Test
        void theThreadIsADaemonNamedLikeItsLoop() {
            AtomicReference<Thread> thread = new AtomicReference<>();
            onLoop(() -> thread.set(Thread.currentThread()));
            assertThat(thread.get().isDaemon()).isTrue();
            assertThat(thread.get().getName()).isEqualTo("loop-under-test");
            assertThat(Schedulers.isNonBlockingThread(thread.get())).isTrue();
        }

        @Test
        void theThreadEndsWithItsLoop() throws InterruptedException {
            AtomicReference<Thread> thread = new AtomicReference<>();
            onLoop(() -> thread.set(Thread.currentThread()));
            world.get(loop.disposeGracefully());
            thread.get().join(60_000);
            assertThat(thread.get().isAlive()).isFalse();
        }

        @Test
        void aLoopWhoseTurnTheKernelRefusesTellsWhoeverWaitsForItsEnd() throws InterruptedException {
            KernelSpy refusing = new KernelSpy(world.kernel());
            EventLoop dying = EventLoop.start(refusing.kernel(), "dying", RingConfig.DEFAULT);
            AtomicReference<Thread> thread = new AtomicReference<>();
            world.get(Mono.fromRunnable(() -> thread.set(Thread.currentThread())).subscribeOn(dying));
            refusing.refuse("ioUringEnter", Errno.EBADF);
            try (LogCapture log = LogCapture.of(EventLoop.class)) {
                assertThatThrownBy(() -> world.get(dying.disposeGracefully())).isInstanceOf(KernelException.class);
                thread.get().join(60_000);
                assertThat(thread.get().isAlive()).isFalse();
                assertThat(log.thrown()).singleElement().asString().contains("EBADF");
            }
        }

        /** Its number would be somebody else's file the next moment. */
        @Test
        void theDescriptorThatSomebodyIsAboutToWakeTheLoopByStaysOpen() throws InterruptedException {
            onLoop(() -> loop.schedule(() -> {}, 50, TimeUnit.MILLISECONDS));   // so that it turns without being woken
            CountDownLatch aboutToWrite = new CountDownLatch(1);
            CountDownLatch write = new CountDownLatch(1);
            world.settle();
            spy.before("eventfdWrite", () -> {
                aboutToWrite.countDown();
                awaitUninterruptibly(write);
            });
            Thread waker = Thread.ofPlatform().start(() -> {
                while (aboutToWrite.getCount() > 0) loop.wakeUp();     // one that is awake need not be woken
            });
            aboutToWrite.await();
            loop.dispose();
            try {
                Thread.sleep(150);                                     // time enough to close it, for a loop that is wrong
                assertThat(spy.calls("close")).isZero();
            } finally {
                write.countDown();
            }
            waker.join();
            world.get(loop.disposeGracefully());
        }

        /** Each turn here works 2 ms, unless something else has the CPU, and then sleeps 20 ms: who counts both tells of more. */
        @Test
        void aTurnIsAsLongAsItWorked() throws InterruptedException {
            BlockingQueue<Long> told = new LinkedBlockingQueue<>();
            onLoop(() -> loop.sampleTurns(told::add));
            loop.schedulePeriodically(() -> {
                long end = System.nanoTime() + 2_000_000;
                while (System.nanoTime() < end) Thread.onSpinWait();
            }, 0, 20, TimeUnit.MILLISECONDS);
            told.take();                                               // of the turn that brought us here
            world.await(() -> {
                Long nanos = told.poll();
                return nanos != null && nanos >= 2_000_000 && nanos <= 18_000_000;
            });
        }

        private static void awaitUninterruptibly(CountDownLatch latch) {
            try {
                latch.await();
            } catch (InterruptedException e) {
                throw new AssertionError(e);
            }
        }

        @Test
        void aBusyLoopIsNotWoken() throws InterruptedException {
            CountDownLatch busy = new CountDownLatch(1);
            CountDownLatch release = new CountDownLatch(1);
            loop.execute(() -> {
                busy.countDown();
                awaitUninterruptibly(release);
            });
            busy.await();
            int before = spy.calls("eventfdWrite");
            CountDownLatch all = new CountDownLatch(1000);
            for (int i = 0; i < 1000; i++) loop.execute(all::countDown);
            assertThat(spy.calls("eventfdWrite")).isEqualTo(before);
            release.countDown();
            all.await();
        }
    }
}
