package io.reactorublk.uring;

import java.util.concurrent.RejectedExecutionException;
import org.jspecify.annotations.Nullable;
import reactor.core.CoreSubscriber;
import reactor.core.Exceptions;
import reactor.core.Scannable;
import reactor.core.publisher.Mono;

/**
 * One kind of file operation: what to stage, and what its result means. Has no state of its own, so it may be subscribed
 * any number of times; each subscription is a {@link FileOperation}.
 */
abstract class FileMono<T> extends Mono<T> implements Scannable {

    /** In place of an id: the operation waits for something, and will be {@linkplain FileOperation#resume resumed}. */
    static final long LATER = -1;

    /** Stages the operation and returns its {@link Sqe#id}, or {@link #LATER}. On the loop. What it throws, the subscriber hears. */
    abstract long stage(FileOperation<T> operation);

    /** What a result that is not negative means; null for a {@code Mono<Void>}. On the loop. */
    abstract @Nullable T value(FileOperation<T> operation, int result);

    /** The call, for a person: {@code read /disk.img at 4096}. Only asked for after a failure. */
    abstract String call(UringFile file);

    /** What usually helps; empty if nothing does. */
    String hint(UringFile file, Errno errno) {
        return "";
    }

    /** The file that a subscription works on. */
    abstract UringFile file();

    /** An operation is about to start. On the loop. What it throws, the subscriber hears. */
    void begin() {}

    /** It has ended with this result, or did not start after all. On the loop. */
    void end(int result, boolean cancelled) {}

    /** The operation has failed. */
    void failed(UringFile file) {}

    /** The operation has ended well, and nobody wants its value any more. */
    void discarded(UringFile file) {}

    final Throwable failure(UringFile file, int result) {
        Errno errno = Errno.of(result);
        if (errno == Errno.ECANCELED && file.loop().isDisposed()) return rejected(file);
        return new KernelException(call(file), errno, hint(file, errno));
    }

    static RejectedExecutionException rejected(UringFile file) {
        return Exceptions.failWithRejected("the loop of " + file.path() + ", " + file.loop().name() + ", is disposed");
    }

    /** Gives Reactor's assembly hooks their chance. */
    final Mono<T> assembled() {
        return onAssembly(this);
    }

    @Override
    public final void subscribe(CoreSubscriber<? super T> actual) {
        actual.onSubscribe(new FileOperation<>(this, file(), actual));
    }

    @Override
    public @Nullable Object scanUnsafe(@SuppressWarnings("rawtypes") Attr key) {
        return key == Attr.RUN_STYLE ? Attr.RunStyle.ASYNC : null;
    }
}
