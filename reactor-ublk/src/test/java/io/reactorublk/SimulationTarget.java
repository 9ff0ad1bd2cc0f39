package io.reactorublk;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.WRITE;

import io.reactorublk.uring.CompletionHandler;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.EventLoop;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.UringFile;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.RejectedExecutionException;
import org.reactivestreams.Publisher;
import org.reactivestreams.Subscription;
import reactor.core.CoreSubscriber;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Operators;
import reactor.core.publisher.Sinks;

/** One queue's target in a {@link Simulation}: dice decide how it asks and how it answers. */
final class SimulationTarget {

    private static final Errno[] ERRNOS = {Errno.EIO, Errno.ENOSPC, Errno.ETIMEDOUT, Errno.EINVAL, Errno.EAGAIN};
    private static final int COMPLETIONS_PER_TAG = 9;
    private static final int OTHER_COMPLETIONS = 64;

    private record Held(BlockRequest request, Sinks.One<Completion> answer) {}

    private final Simulation simulation;
    private final BlockQueue queue;
    private final Sinks.Many<Completion> answers = Sinks.unsafe().many().unicast().onBackpressureBuffer();
    private final Sinks.Empty<Void> end = Sinks.empty();
    private final List<Held> held = new ArrayList<>();
    private final List<Completion> answered = new ArrayList<>();
    private final Set<BlockRequest> inHand = new HashSet<>();
    private final int pattern;
    private final int limit;
    private Subscription subscription;
    private UringFile file;
    private long asked;
    private long delivered;
    private boolean broken;
    private boolean throwsNext;

    SimulationTarget(Simulation simulation, BlockQueue queue) {
        this.simulation = simulation;
        this.queue = queue;
        pattern = simulation.pick(5);
        limit = 1 + simulation.pick(simulation.once(3) ? 3 : 2 * queue.depth());
    }

    Publisher<Completion> completions() {
        if (simulation.file() == null) return serve();
        EventLoop loop = simulation.pickForMode(4) == 0 ? simulation.elsewhere() : queue.loop();
        return Flux.usingWhen(UringFile.open(loop, Simulation.DISK, READ, WRITE), opened -> {
            file = opened;
            return serve();
        }, UringFile::close);
    }

    private Flux<Completion> serve() {
        BlockQueue seen = queue.via(requests -> requests.doOnRequest(n -> asked = Operators.addCap(asked, n)).doOnNext(this::delivered));
        Flux<Completion> completions = switch (pattern) {
            case 0 -> seen.answer(this::handle);
            case 1 -> seen.answer(limit, this::handle);
            case 2 -> seen.limitRate(limit).flatMap(this::safely, 1 + simulation.pick(limit), 1);
            default -> byHand(seen);
        };
        return completions.doOnNext(this::answering).takeUntilOther(end.asMono());
    }

    private Flux<Completion> byHand(BlockQueue seen) {
        seen.subscribe(new CoreSubscriber<BlockRequest>() {
            @Override
            public void onSubscribe(Subscription s) {
                subscription = s;
                if (simulation.once(2)) s.request(1 + simulation.pick(limit));
            }

            @Override
            public void onNext(BlockRequest request) {
                if (throwsNext) {
                    throwsNext = false;
                    throw new IllegalStateException("a subscriber that throws");
                }
                if (simulation.once(3)) ask();
                safely(request).subscribe(completion -> {
                    answers.tryEmitNext(completion);
                    if (simulation.faulty && simulation.once(20)) again(completion);
                });
            }

            @Override
            public void onError(Throwable e) {
                ended();
            }

            @Override
            public void onComplete() {
                ended();
            }
        });
        return answers.asFlux();
    }

    private void ended() {
        if (!simulation.once(8)) answers.tryEmitComplete();            // else it has to be told to
    }

    private void again(Completion completion) {
        simulation.happened("answered twice");
        simulation.oneAnswerTooMany();
        answers.tryEmitNext(completion);
    }

    private void delivered(BlockRequest request) {
        delivered++;
        if (request.isShared()) simulation.happened("in shared memory");
        if (delivered > asked) simulation.fail(queue + ": " + delivered + " requests delivered, " + asked + " asked for");
        if (!queue.loop().inLoop()) simulation.fail(request + " was delivered elsewhere");
        boolean ended = broken && pattern < 3 && file == null;         // takeUntilOther fails without cancelling, then a file is closed
        if (ended) simulation.fail(request + " was delivered to a target that had ended");
        for (BlockRequest other : inHand) if (other.tag() == request.tag() && !other.isLost()) simulation.fail(request + " was delivered twice");
        inHand.add(request);
        inHand.removeIf(BlockRequest::isLost);
        if (inHand.size() > queue.depth()) simulation.fail(inHand.size() + " requests in flight of " + queue);
        simulation.log(() -> "delivered " + request);
    }

    /** What is lent and not used is no more than was asked for and has not come. A queue that is drained asks for itself. */
    void check() {
        UblkQueue lender = simulation.lender(queue.id());
        if (lender.isDraining() || delivered + lender.granted() <= asked) return;
        simulation.fail(queue + ": " + lender.granted() + " slots lent and " + delivered + " requests delivered, " + asked + " asked for");
    }

    private void answering(Completion completion) {
        simulation.log(() -> "answer " + completion);
        inHand.remove(completion.request());
        answered.add(completion);
    }

    // ------------------------------------------------------------------------------------------- what happens outside

    /** Gives the target something to do; false if there is nothing. */
    boolean act() {
        if (!held.isEmpty() && (subscription == null || simulation.once(2))) {
            release(held.remove(simulation.pick(held.size())));
            return true;
        }
        if (subscription != null && !broken) {
            ask();
            return true;
        }
        return false;
    }

    private void ask() {
        subscription.request(simulation.once(30) ? Long.MAX_VALUE : 1 + simulation.pick(limit));
    }

    private void release(Held one) {
        Runnable answer = () -> perform(one.request).subscribe(one.answer::tryEmitValue);
        if (simulation.once(2)) {
            answer.run();
        } else {
            onLoop(answer);
        }
    }

    private void onLoop(Runnable task) {
        try {
            queue.loop().execute(task);
        } catch (RejectedExecutionException e) {
            simulation.happened("came to a loop that was gone");
        }
    }

    /** Answers once more what was answered long ago. */
    void answerAgain() {
        if (pattern >= 3 && !answered.isEmpty()) again(answered.get(simulation.pick(answered.size())));
    }

    /** Fills the completion queue with others' completions. */
    void flood() {
        int entries = Integer.highestOneBit(COMPLETIONS_PER_TAG * queue.depth() + OTHER_COMPLETIONS - 1) << 1;
        int count = entries - simulation.pick(2);
        queue.loop().execute(() -> {
            try {
                for (int i = 0; i < count; i++) queue.loop().ring().stage(CompletionHandler.IGNORE).nop();
            } catch (KernelException e) {
                simulation.happened("a ring that takes no more");
            }
        });
    }

    /** Ends the target before its queue, in one of the ways there are. */
    void breakIt() {
        if (broken) return;
        int way = simulation.pick(subscription == null ? 2 : 6);
        simulation.happened("broken in way " + way);
        broken = way != 3;
        switch (way) {
            case 0 -> end.tryEmitEmpty();
            case 1 -> end.tryEmitError(new IllegalStateException("a bug of the target"));
            case 2 -> subscription.cancel();
            case 3 -> throwsNext = true;
            case 4 -> subscription.request(0);
            default -> onLoop(subscription::cancel);
        }
    }

    // ------------------------------------------------------------------------------------------- answers

    private Mono<Completion> safely(BlockRequest request) {
        return Mono.defer(() -> handle(request)).onErrorResume(e -> Mono.just(request.fail(e)))
                .switchIfEmpty(Mono.fromSupplier(() -> request.fail(Errno.EIO)));
    }

    private Mono<Completion> handle(BlockRequest request) {
        if (simulation.faulty && simulation.once(12)) return fault(request);
        return switch (simulation.pick(7)) {
            case 0, 1 -> perform(request);
            case 2 -> Mono.defer(() -> perform(request));
            case 3 -> Mono.delay(Duration.ofNanos(1000L * simulation.pick(3000)), queue.loop()).flatMap(tick -> perform(request));
            case 4 -> Mono.just(request).publishOn(simulation.elsewhere()).flatMap(this::perform);
            case 5 -> Mono.delay(Duration.ofNanos(1000L * simulation.pick(3000)), simulation.elsewhere()).flatMap(tick -> perform(request));
            default -> hold(request);
        };
    }

    private Mono<Completion> hold(BlockRequest request) {
        Sinks.One<Completion> answer = Sinks.one();
        held.add(new Held(request, answer));
        return answer.asMono();
    }

    private Mono<Completion> fault(BlockRequest request) {
        int way = simulation.pick(7);
        simulation.happened("fault " + way);
        return switch (way) {
            case 0 -> Mono.just(request.fail(ERRNOS[simulation.pick(ERRNOS.length)]));
            case 1 -> Mono.error(new IllegalStateException("a handler that fails"));
            case 2 -> throw new IllegalStateException("a handler that throws");
            case 3 -> Mono.empty();
            case 4 -> Mono.delay(Duration.ofMillis(1), queue.loop()).flatMap(tick -> Mono.error(new UnsupportedOperationException("late")));
            case 5 -> simulation.mayKeep() ? Mono.never() : hold(request);
            default -> Mono.delay(Duration.ofMillis(simulation.pick(100)), simulation.elsewhere()).flatMap(tick -> perform(request));
        };
    }

    /** Does all of it, or its first part. Also for a request that was lost meanwhile: nobody told the target. */
    private Mono<Completion> perform(BlockRequest request) {
        if (request.isLost()) simulation.happened("a lost request was served");
        if (!simulation.isServed()) return Mono.just(request.fail(Errno.EIO));
        if (file != null) return new SimulationTransfer(simulation, queue, file, request).completion();
        if (request.isVisible() || !request.operation().hasData()) return Mono.just(performInMemory(request));
        return copy(request);
    }

    /** By memory of our own, where the request's is out of sight. */
    private Mono<Completion> copy(BlockRequest request) {
        int length = (int) request.length();
        int part = simulation.once(8) ? 1 + simulation.pick(length) : length;
        if (part < ModelDisk.BLOCK) simulation.mayFail();
        int offset = (int) request.offset();
        MemorySegment memory = simulation.memory(part);
        byte[] disk = simulation.content();
        Mono<Void> copied;
        if (request.operation() == Operation.READ) {
            MemorySegment.copy(disk, offset, memory, JAVA_BYTE, 0, part);
            copied = request.fill(0, memory);
        } else {
            copied = request.look(0, memory).doOnSuccess(
                    nothing -> MemorySegment.copy(memory, JAVA_BYTE, 0, disk, offset, part - part % ModelDisk.BLOCK));
        }
        return copied.thenReturn(request.complete(part)).onErrorResume(e -> {
            if (!request.isLost() && !simulation.operationsMayFail()) simulation.fail(request + " could not be copied: " + e);
            return Mono.just(request.fail(e));
        });
    }

    private Completion performInMemory(BlockRequest request) {
        byte[] disk = simulation.content();
        int offset = (int) request.offset();
        int length = (int) request.length();
        switch (request.operation()) {
            case FLUSH -> { }
            case DISCARD, WRITE_ZEROES -> Arrays.fill(disk, offset, offset + length, (byte) 0);
            case READ, WRITE -> {
                if (request.isShared() && request.isLost()) return request.fail(Errno.EIO);   // no memory of ours is put away for it
                MemorySegment data = request.data();
                if (!simulation.isServed() || !data.scope().isAlive()) return request.fail(Errno.EIO);
                int part = simulation.once(8) ? 1 + simulation.pick(length) : length;
                if (part < (request.isShared() ? length : ModelDisk.BLOCK)) simulation.mayFail();
                if (request.operation() == Operation.READ) {
                    MemorySegment.copy(disk, offset, data, JAVA_BYTE, 0, part);
                } else {
                    MemorySegment.copy(data, JAVA_BYTE, 0, disk, offset, part - part % ModelDisk.BLOCK);
                }
                return request.complete(part);
            }
        }
        return request.complete();
    }
}
