package io.reactorublk.uring;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import io.reactorublk.uring.memory.MemoryKernel;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import reactor.blockhound.BlockingOperationError;

/** Who blocks in a turn of a loop is caught in the act: on the loop's thread, and on a test's own, which turns it in memory. */
class TurnsDoNotBlockTest {

    private static final long LONG_ENOUGH_SECONDS = 60;

    enum Turner { LOOP_THREAD, THIS_THREAD }

    @ParameterizedTest
    @EnumSource
    void aTaskThatSleepsIsCaught(Turner turner) throws Exception {
        assertThat(thrownOnALoop(turner, () -> Thread.sleep(1))).get().isInstanceOf(BlockingOperationError.class);
    }

    @ParameterizedTest
    @EnumSource
    void aTaskThatWaitsForALockIsCaught(Turner turner) throws Exception {
        ReentrantLock lock = new ReentrantLock();
        CountDownLatch locked = new CountDownLatch(1);
        CountDownLatch unlock = new CountDownLatch(1);
        Thread owner = Thread.ofPlatform().start(() -> {
            lock.lock();
            locked.countDown();
            try {
                unlock.await();
            } catch (InterruptedException e) {
                throw new AssertionError(e);
            }
        });
        locked.await();
        try {
            assertThat(thrownOnALoop(turner, lock::lock)).get().isInstanceOf(BlockingOperationError.class);
        } finally {
            unlock.countDown();
            owner.join();
        }
    }

    @ParameterizedTest
    @EnumSource
    void aTaskThatDoesNotBlockIsNot(Turner turner) throws Exception {
        assertThat(thrownOnALoop(turner, new ReentrantLock()::lock)).isEmpty();
    }

    @Test
    void betweenTurnsAThreadMayBlock() throws Exception {
        thrownOnALoop(Turner.THIS_THREAD, () -> {});
        assertThat(catchThrowable(() -> Thread.sleep(1))).isNull();
    }

    private static Optional<Throwable> thrownOnALoop(Turner turner, ThrowingCallable task) throws Exception {
        MemoryKernel memory = MemoryKernel.create();
        EventLoop loop = EventLoop.start(turner == Turner.THIS_THREAD ? memory : withLoopThreads(memory), "turned",
                new RingConfig(8, 64, false));
        CompletableFuture<Optional<Throwable>> thrown = new CompletableFuture<>();
        loop.execute(() -> thrown.complete(Optional.ofNullable(catchThrowable(task))));
        if (turner == Turner.THIS_THREAD) memory.settle();
        Optional<Throwable> outcome = thrown.get(LONG_ENOUGH_SECONDS, TimeUnit.SECONDS);
        CompletableFuture<Void> end = loop.disposeGracefully().toFuture();
        if (turner == Turner.THIS_THREAD) memory.settle();
        end.get(LONG_ENOUGH_SECONDS, TimeUnit.SECONDS);
        return outcome;
    }

    /** As on Linux: this loop needs nobody to give it its time. */
    private static Kernel withLoopThreads(MemoryKernel memory) {
        return (Kernel) Proxy.newProxyInstance(Kernel.class.getClassLoader(), new Class<?>[] {Kernel.class}, (proxy, method, args) -> {
            if (method.getName().equals("start")) {
                new LoopThread((EventLoop) args[0]).start();
                return null;
            }
            try {
                return method.invoke(memory, args);
            } catch (InvocationTargetException e) {
                throw e.getCause();
            }
        });
    }
}
