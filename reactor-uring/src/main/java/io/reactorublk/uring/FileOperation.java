package io.reactorublk.uring;

import java.lang.foreign.MemorySegment;
import java.util.Objects;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.AtomicIntegerFieldUpdater;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Subscription;
import reactor.core.CoreSubscriber;
import reactor.core.Scannable;
import reactor.core.publisher.Operators;

/**
 * One file operation under way: its subscription, its completion handler, and the task that brings it to the loop, in one
 * object.
 *
 * <pre>
 *   IDLE ── request ──► REQUESTED ── completed, refused ──► ENDED      exactly one signal
 *     └───── cancel ───────┴───────► CANCELLED                         none
 * </pre>
 *
 * <p>A cancelled operation may go on in the kernel. Until it has ended the ring holds this object, and by it the memory.
 */
final class FileOperation<T> implements Subscription, CompletionHandler, Runnable, Scannable {

    private static final int IDLE = 0;
    private static final int REQUESTED = 1;
    private static final int ENDED = 2;
    private static final int CANCELLED = 3;

    @SuppressWarnings("rawtypes")
    private static final AtomicIntegerFieldUpdater<FileOperation> STATE =
            AtomicIntegerFieldUpdater.newUpdater(FileOperation.class, "state");

    final UringFile file;
    /** Null once it has ended: the ring keeps this object until its slot is used again, but not the user's memory. */
    private @Nullable FileMono<T> mono;
    private @Nullable CoreSubscriber<? super T> actual;
    /** Memory for a path, pieces or a status, from stage until the end. */
    @Nullable MemorySegment scratch;

    private volatile int state;
    /** On the loop, like all below. */
    private boolean waitsForRoom;
    private boolean hasRoom;
    private boolean inKernel;
    private long id;

    FileOperation(FileMono<T> mono, UringFile file, CoreSubscriber<? super T> actual) {
        this.mono = mono;
        this.file = file;
        this.actual = actual;
    }

    @Override
    public void request(long n) {
        if (Operators.validate(n) && STATE.compareAndSet(this, IDLE, REQUESTED)) toLoop();
    }

    @Override
    public void cancel() {
        if (STATE.compareAndSet(this, IDLE, CANCELLED)) return;
        if (STATE.compareAndSet(this, REQUESTED, CANCELLED)) toLoop();
    }

    private void toLoop() {
        try {
            file.loop().execute(this);
        } catch (RejectedExecutionException e) {
            // After a cancellation nobody hears it, and nothing is to be done: a loop that ends cancels all.
            fail(FileMono.rejected(file));
        }
    }

    /** On the loop: after request to start, after cancel to ask the kernel to end it early. */
    @Override
    public void run() {
        if (state == REQUESTED) {
            start();
        } else if (inKernel) {
            file.loop().ring().cancel(id);
        } else if (waitsForRoom) {
            waitsForRoom = false;
            room().leave(this);
            notStarted(Objects.requireNonNull(mono), FileMono.rejected(file));
        }
    }

    private void start() {
        FileMono<T> starting = Objects.requireNonNull(mono);
        try {
            file.begin();
        } catch (RuntimeException e) {
            fail(e);
            return;
        }
        try {
            starting.begin();
        } catch (RuntimeException e) {
            giveUp(starting, e);
            return;
        }
        if (room().take(this)) {
            hasRoom = true;
            stage(starting);
        } else {
            waitsForRoom = true;
        }
    }

    private Room room() {
        return file.loop().ring().room();
    }

    /** On the loop: others have ended, and there is room. */
    void enter() {
        waitsForRoom = false;
        hasRoom = true;
        resume();
    }

    private void leaveRoom() {
        if (!hasRoom) return;
        hasRoom = false;
        room().give();
    }

    private void stage(FileMono<T> starting) {
        try {
            id = starting.stage(this);
            inKernel = id != FileMono.LATER;
        } catch (RuntimeException e) {
            notStarted(starting, e);
        }
    }

    private void notStarted(FileMono<T> starting, RuntimeException e) {
        starting.end(Errno.ECANCELED.result(), state == CANCELLED);
        giveUp(starting, e);
    }

    private void giveUp(FileMono<T> starting, RuntimeException e) {
        file.ended(this);
        starting.failed(file);
        leaveRoom();
        fail(e);
    }

    /** On the loop: what it had to wait for is there. */
    void resume() {
        FileMono<T> starting = Objects.requireNonNull(mono);
        if (state == REQUESTED && !file.loop().isDisposed()) {
            stage(starting);
        } else {
            notStarted(starting, FileMono.rejected(file));
        }
    }

    @Override
    public void onCompletion(int result, int flags) {
        FileMono<T> ended = Objects.requireNonNull(mono);
        CoreSubscriber<? super T> subscriber = Objects.requireNonNull(actual);
        mono = null;
        actual = null;
        inKernel = false;
        leaveRoom();
        ended.end(result, state == CANCELLED);
        if (result < 0) {
            Throwable failure = state == CANCELLED ? null : ended.failure(file, result);
            file.ended(this);
            ended.failed(file);
            if (failure != null && maySignal()) subscriber.onError(failure);
        } else {
            T value = ended.value(this, result);
            file.ended(this);
            if (maySignal()) {
                if (value != null) subscriber.onNext(value);
                subscriber.onComplete();
            } else {
                ended.discarded(file);
            }
        }
    }

    /** Before it has reached the kernel. */
    private void fail(Throwable failure) {
        if (maySignal()) Objects.requireNonNull(actual).onError(failure);
    }

    private boolean maySignal() {
        return STATE.compareAndSet(this, REQUESTED, ENDED);
    }

    @Override
    public @Nullable Object scanUnsafe(@SuppressWarnings("rawtypes") Attr key) {
        if (key == Attr.ACTUAL) return actual;
        if (key == Attr.TERMINATED) return state == ENDED;
        if (key == Attr.CANCELLED) return state == CANCELLED;
        if (key == Attr.RUN_ON) return file.loop();
        return key == Attr.RUN_STYLE ? Attr.RunStyle.ASYNC : null;
    }
}
