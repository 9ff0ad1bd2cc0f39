package io.reactorublk.uring;

import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.WRITE;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.charset.StandardCharsets;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.assertj.core.api.AbstractThrowableAssert;
import org.junit.jupiter.api.AfterEach;
import org.opentest4j.TestAbortedException;
import reactor.core.publisher.BaseSubscriber;
import reactor.core.publisher.Mono;

/** Files on a loop, closed after the test and before their loop. */
abstract class FileHarness extends LoopHarness {

    private final List<UringFile> files = new ArrayList<>();

    @AfterEach
    final void closeFiles() {
        // Pending reads of pipes end with the loop, and closing waits for them.
        loop.dispose();
        for (UringFile file : files) world.get(file.close());
    }

    final UringFile open(Path path, OpenOption... options) {
        UringFile file = world.get(UringFile.open(loop, path, options));
        files.add(file);
        return file;
    }

    final UringFile fileWith(String content) {
        return open(world.file(bytes(content)), READ, WRITE);
    }

    /** A file from which a read waits until something was written. */
    final UringFile openPipe() {
        return open(world.namedPipe(), READ, WRITE);
    }

    final String content(UringFile file) {
        return new String(world.content(file.path()), StandardCharsets.US_ASCII);
    }

    final int read(UringFile file, IoBuffer buffer, long offset) {
        return world.get(file.read(buffer, offset));
    }

    final int write(UringFile file, IoBuffer buffer, long offset) {
        return world.get(file.write(buffer, offset));
    }

    /** That a Mono fails by the kernel's refusal. */
    final AbstractThrowableAssert<?, ? extends Throwable> assertRefused(Errno errno, Mono<?> mono) {
        return assertThatThrownBy(() -> world.get(mono)).isInstanceOf(KernelException.class)
                .extracting(e -> (Throwable) e).asInstanceOf(org.assertj.core.api.InstanceOfAssertFactories.THROWABLE)
                .satisfies(e -> org.assertj.core.api.Assertions.assertThat(((KernelException) e).errno()).isEqualTo(errno));
    }

    /** For what not every file system can do: such a test is skipped there. */
    final <T> T getIfSupported(Errno unsupported, Mono<T> mono) {
        try {
            return world.get(mono);
        } catch (KernelException e) {
            if (e.errno() == unsupported) throw new TestAbortedException(e.getMessage(), e);
            throw e;
        }
    }

    /** Subscribes, requests, and keeps the signals. */
    static <T> Signals<T> subscribe(Mono<T> mono) {
        return subscribe(mono, 1);
    }

    static <T> Signals<T> subscribe(Mono<T> mono, long demand) {
        Signals<T> signals = new Signals<>(demand);
        mono.subscribe(signals);
        return signals;
    }

    /** What a subscriber heard. */
    static final class Signals<T> extends BaseSubscriber<T> {

        final List<Object> heard = Collections.synchronizedList(new ArrayList<>());
        private final long demand;

        Signals(long demand) {
            this.demand = demand;
        }

        @Override
        protected void hookOnSubscribe(org.reactivestreams.Subscription subscription) {
            if (demand > 0) request(demand);
        }

        @Override
        protected void hookOnNext(T value) {
            heard.add(value);
        }

        @Override
        protected void hookOnComplete() {
            heard.add("complete");
        }

        @Override
        protected void hookOnError(Throwable throwable) {
            heard.add(throwable);
        }
    }
}
