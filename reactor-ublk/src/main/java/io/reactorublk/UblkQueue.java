package io.reactorublk;

import io.reactorublk.uring.CompletionHandler;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.EventLoop;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.abi.io_uring_h;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Objects;
import java.util.Queue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLongFieldUpdater;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Subscription;
import reactor.core.CoreSubscriber;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.MonoSink;
import reactor.core.publisher.Operators;
import reactor.core.publisher.Sinks;
import reactor.util.Logger;
import reactor.util.Loggers;
import reactor.util.concurrent.Queues;

/**
 * One hardware queue: requests out, completions in. <b>The hot path.</b>
 *
 * <p>All on the loop, except {@link #request}, {@link #cancel} and {@link #complete}, which leave a note for it: a number,
 * a flag, an entry in the mailbox. Demand never calls back: requests are delivered only while the ring is reaped, so
 * {@code onNext → request → onNext} cannot nest and no drain loop is needed.
 *
 * <pre>
 *                  grant > 0                  -ENOBUFS, nothing lent
 *       IDLE ────────────────────► ARMED ──────────────────────────► STARVED
 *                                   │ ▲ ▲                               │
 *            -ENOBUFS, slots lent:  │ │ └────────── grant > 0 ──────────┘
 *            rebuild if they leaked └─┘
 *
 *       any ── the device has stopped, or -ENODEV ──► DONE ── onComplete
 * </pre>
 *
 * Draining is orthogonal: the subscriber cancelled, or the target is lost. The queue then asks for everything and answers
 * EIO, so that a lost target can hang neither an application nor its own removal.
 */
final class UblkQueue extends BlockQueue implements Subscription {

    private enum Fetch { IDLE, ARMED, STARVED, DONE }

    private static final Logger LOG = Loggers.getLogger(UblkQueue.class);
    private static final int GUARD_SECONDS = 1;
    private static final AtomicLongFieldUpdater<UblkQueue> DEMAND =
            AtomicLongFieldUpdater.newUpdater(UblkQueue.class, "demand");

    /** For the number of shared memory to reach us, which the driver has told us before; not for one that waits for this request. */
    private static final int MOST_LEARNING_MILLIS = 100;

    private final int deviceId;
    private final int id;
    private final int depth;
    private final boolean recovered;
    private volatile DeviceParameters parameters;
    private final EventLoop loop;
    private final IoDescriptors descriptors;
    private final DataBuffers data;
    private final SharedBuffers shared;
    private final BatchCommands commands;
    private final FetchBuffer fetch;
    private final QueueListener listener;
    /** Null if nobody wants to know for how long requests are out: then nothing is measured, not even the time. */
    private @Nullable RequestTimes times;

    private final @Nullable BlockRequest[] requests;
    /** What was answered in a lost target's place. */
    private final List<BlockRequest> lost = new ArrayList<>();
    private final Queue<BlockRequest> mailbox = Queues.<BlockRequest>unboundedMultiproducer().get();
    private final CompletionHandler onFetched = this::onFetched;
    private final CompletionHandler onCommitted = this::onCommitted;
    private CommitBuffer filling;
    private CommitBuffer withKernel;
    private Fetch state = Fetch.IDLE;
    private boolean draining;
    /** Whether the driver kills this process for a request that it waits for too long. */
    private boolean guarded;
    private long starvedNanos;
    /** Who waits for the target to have nothing in hand, while it gets nothing new. */
    private @Nullable MonoSink<Void> whenQuiet;
    /** Tags that came meanwhile. */
    private final Deque<Integer> kept = new ArrayDeque<>();

    private final AtomicBoolean subscribed = new AtomicBoolean();
    private @Nullable CoreSubscriber<? super BlockRequest> subscriber;
    private volatile long demand;
    private volatile boolean cancelled;

    private final TargetSubscriber target = new TargetSubscriber(this);
    private final Sinks.Empty<Void> whenReady = Sinks.empty();
    private final Sinks.Empty<Void> whenStopped = Sinks.empty();
    private final Sinks.Empty<Void> whenFailed = Sinks.empty();

    UblkQueue(int deviceId, int id, boolean recovered, DeviceParameters parameters, EventLoop loop, QueueMemory memory,
            BatchCommands commands, FetchBuffer fetch, QueueListener listener) {
        this.deviceId = deviceId;
        this.id = id;
        this.depth = memory.depth();
        this.recovered = recovered;
        this.parameters = parameters;
        this.loop = loop;
        this.descriptors = memory.descriptors();
        this.data = memory.data();
        this.shared = memory.shared();
        this.filling = memory.filling();
        this.withKernel = memory.withKernel();
        this.commands = commands;
        this.fetch = fetch;
        requests = new BlockRequest[depth];
        this.listener = listener.forQueue(this);
        times = this.listener == QueueListener.NONE ? null : new RequestTimes(loop.kernel(), this.listener, depth);
    }

    // ------------------------------------------------------------------------------------------- once a turn

    /** Everything this turn owes the kernel, just before it is entered: one commit, one grant, one fetch. */
    void beforeEnter() {
        for (BlockRequest request = mailbox.poll(); request != null; request = mailbox.poll()) commit(request);
        if (cancelled) {
            subscriber = null;                                         // Reactive Streams 3.13: forget it
            drain("its requests were cancelled");
        }

        if (!filling.isEmpty() && withKernel.isEmpty()) {
            CommitBuffer full = filling;
            filling = withKernel;
            withKernel = full;
            if (times != null) times.leave();
            listener.onCommitted(this, full.pending());
            commands.commit(full, onCommitted);
        }

        if (whenQuiet != null) {
            if (isQuiet()) {
                whenQuiet.success();
            } else if (!withKernel.isEmpty() && !loop.isDisposed()) {
                loop.schedule(() -> {});                               // a turn that waits expects more than an inline commit
            }
            return;
        }
        long wanted = draining ? Long.MAX_VALUE : demand;
        int grant = (int) Math.min(wanted, fetch.free());
        if (grant > 0 && (grant == wanted || grant >= depth) && state != Fetch.DONE) {     // all, or a piece worth lending
            if (!draining) Operators.produced(DEMAND, this, grant);
            fetch.grant(grant);
        }
        boolean asks = fetch.granted() > 0 || (guarded && state == Fetch.IDLE);   // without slots it tells that a request waits
        if (state != Fetch.ARMED && state != Fetch.DONE && asks) {
            commands.fetch(fetch.group(), onFetched);
            state = Fetch.ARMED;
        }
    }

    /** FETCH completed: {@code result} bytes of tags were written, or the multishot ended. */
    private void onFetched(int result, int flags) {
        if (state == Fetch.DONE) return;                               // its tags go back to the driver when the ring closes
        if (result > 0) {
            listener.onFetched(this, result / FetchBuffer.SLOT);
            if (times != null) times.arrive();
            for (int bytes = 0; bytes < result; bytes += FetchBuffer.SLOT) {
                int tag = fetch.take();
                if (times != null) times.arrived(tag);
                deliver(tag);
            }
        }
        if ((flags & io_uring_h.IORING_CQE_F_MORE()) != 0) return;
        state = Fetch.IDLE;
        if (result >= 0) return;
        switch (Errno.of(result)) {
            case ENOBUFS -> starve();
            case ENOMEM -> { }                                         // armed again in the next turn
            case ENODEV, ECANCELED -> {
                whenStopped.tryEmitEmpty();
                stopped();
            }
            default -> fail(new KernelException("UBLK_U_IO_FETCH_IO_CMDS of " + this, Errno.of(result)));
        }
    }

    private void starve() {
        if (fetch.granted() == 0) {
            state = Fetch.STARVED;
            starvedNanos = loop.kernel().nanoTime();
            listener.onStarved(this);
        } else if (!fetch.agrees()) {
            fetch.rebuild();
            listener.onRebuilt(this);
        }
    }

    private void deliver(int tag) {
        deliver(tag, 0);
    }

    private void deliver(int tag, int waitedMillis) {
        if (whenQuiet != null) {
            kept.add(tag);
            return;
        }
        int operationAndFlags = descriptors.operationAndFlags(tag);
        Operation operation = Operation.of(operationAndFlags & 0xff);
        if (operation == null) {
            filling.add(tag, Errno.EOPNOTSUPP.result(), data);
            return;
        }
        CoreSubscriber<? super BlockRequest> actual = draining || cancelled || target.hasEnded() ? null : subscriber;
        boolean isShared = BlockRequest.isShared(operationAndFlags);
        boolean learns = isShared && waitedMillis < MOST_LEARNING_MILLIS && shared.learns();
        boolean strange = isShared && !shared.knows(tag);
        if (actual != null && strange && learns) {
            loop.schedule(() -> deliver(tag, waitedMillis + 1), 1, TimeUnit.MILLISECONDS);
            return;
        }
        BlockRequest request = new BlockRequest(this, tag, operation, operationAndFlags,
                descriptors.offsetBytes(tag), descriptors.lengthBytes(tag));
        assert requests[tag] == null : "tag " + tag + " delivered twice";
        if (actual == null || strange) {
            if (strange) shared.strange(tag);
            if (actual != null) Operators.addCap(DEMAND, this, 1);     // it was not delivered
            commit(request, Errno.EIO.result());
            return;
        }
        if (isShared) shared.deliver(request);
        requests[tag] = request;
        try {
            actual.onNext(request);
        } catch (Throwable e) {                                        // against the rules, so no operator recovers from it
            lost(e);
        }
    }

    @Override
    void lost(Throwable e) {
        LOG.error("the subscriber of " + this + " failed in onNext", e);
        target.cancel();
        drain("its target failed: " + e);
    }

    /**
     * A target answers. Any thread.
     *
     * <p>An answer that comes twice is a breach that must not be thrown at whoever emits it: no operator survives an
     * exception from downstream. It is logged with the stack that emitted it, told to whoever gives the loop its time, and
     * changes nothing.
     */
    void complete(Completion completion) {
        BlockRequest request = completion.request();
        if (request.queue() != this) {
            breach("a completion was given to another queue", request + " is not of " + this);
        } else if (!request.answer(completion)) {
            if (request.isLost()) return;
            breach("a request was answered twice", request + " has been answered already");
        } else if (request.release()) {                                // else the last operation on its bytes comes here
            answered(request);
        }
    }

    private void breach(String rule, String by) {
        IllegalStateException breach = new IllegalStateException(by);
        LOG.error(rule, breach);
        loop.uncaught(breach);
    }

    @Override
    void answered(BlockRequest request) {
        if (loop.inLoop()) {
            commit(request);
        } else {
            mailbox.offer(request);
            loop.wakeUp();
        }
    }

    private void commit(BlockRequest request) {
        assert requests[request.tag()] == request : request + " is not in flight";
        int result = request.result(draining || state == Fetch.DONE);
        Mono<Void> rest = result > 0 && request.operation() == Operation.READ ? data(request).finish(request, result) : Mono.empty();
        if (rest == Mono.<Void>empty()) {
            commit(request, result);
        } else {
            rest.subscribe(nothing -> {}, e -> notFinished(request, e), () -> commit(request, result));
        }
    }

    private void notFinished(BlockRequest request, Throwable e) {
        if (state != Fetch.DONE) LOG.warn(request + " is answered with EIO because its bytes could not be brought to the kernel", e);
        commit(request, Errno.EIO.result());
    }

    private void commit(BlockRequest request, int result) {
        int tag = request.tag();
        requests[tag] = null;
        filling.add(tag, result, data);
        if (times != null) times.answered(request, result);
    }

    /** COMMIT completed: {@code result} bytes of elements were accepted. */
    private void onCommitted(int result, int flags) {
        if (result < 0) {
            if (state != Fetch.DONE) fail(new KernelException("UBLK_U_IO_COMMIT_IO_CMDS of " + this, Errno.of(result)));
            withKernel.clear();
            return;
        }
        withKernel.accept(result);
        if (withKernel.pending() == 0) {
            withKernel.clear();
        } else {
            commands.commit(withKernel, onCommitted);                  // the kernel now names what is wrong with the next one
        }
    }

    /** Slots that are lent to the kernel and that it has not used: no more than was asked for, unless it is draining. On the loop. */
    int granted() {
        return fetch.granted();
    }

    boolean isDraining() {
        return draining;
    }

    // ------------------------------------------------------------------------------------------- a Flux for one

    @Override
    public void subscribe(CoreSubscriber<? super BlockRequest> actual) {
        if (!subscribed.compareAndSet(false, true)) {
            Operators.error(actual, new IllegalStateException(this + " has a subscriber already; each request is answered once"));
            return;
        }
        try {
            loop.execute(() -> onSubscribe(actual));                   // on the loop, so that signals come one after another
        } catch (RejectedExecutionException e) {
            Operators.error(actual, e);
        }
    }

    private void onSubscribe(CoreSubscriber<? super BlockRequest> actual) {
        subscriber = actual;
        actual.onSubscribe(this);
        whenReady.tryEmitEmpty();
        if (state == Fetch.DONE) complete(actual);
    }

    @Override
    public void request(long n) {
        if (n <= 0) {
            if (loop.isDisposed()) return;
            loop.execute(() -> refuse(new IllegalArgumentException("demand of " + n + ": at least 1 (Reactive Streams 3.9)")));
            return;
        }
        Operators.addCap(DEMAND, this, n);
        if (!loop.inLoop()) loop.wakeUp();
    }

    @Override
    public void cancel() {
        cancelled = true;
        if (!loop.inLoop()) loop.wakeUp();
    }

    private void refuse(Throwable breach) {
        CoreSubscriber<? super BlockRequest> actual = subscriber;
        if (actual == null || cancelled || draining) return;
        subscriber = null;
        drain("it was asked for nothing: " + breach);
        actual.onError(breach);
    }

    private void complete(CoreSubscriber<? super BlockRequest> actual) {
        subscriber = null;
        if (!cancelled) actual.onComplete();
    }

    // ------------------------------------------------------------------------------------------- life

    /** Hands all tags to the driver. Completes when it has them. Any thread. */
    Mono<Void> prepare() {
        return Mono.create(sink -> loop.execute(() -> {
            for (int tag = 0; tag < depth; tag++) filling.add(tag, 0, data);
            commands.prepare(filling, (result, flags) -> {
                filling.clear();
                if (result < 0) {
                    sink.error(new KernelException("UBLK_U_IO_PREP_IO_CMDS of " + this, Errno.of(result)));
                } else {
                    loop.beforeEnter(this::beforeEnter);
                    sink.success();
                }
            });
        }));
    }

    /** Lets a target serve. Completes when it has subscribed, or fails when it has ended before. Any thread. */
    Mono<Void> serve(BlockTarget blockTarget) {
        loop.execute(() -> Flux.defer(() -> blockTarget.serve(this)).subscribe(target));
        return whenReady.asMono();
    }

    /** Answers EIO from now on, also to what a target still has in hand. On the loop. */
    void drain(String why) {
        if (draining || state == Fetch.DONE) return;
        draining = true;
        LOG.warn("{} answers EIO from now on: {}", this, why);
        for (BlockRequest request : requests) {
            if (request == null || !lose(request)) continue;           // an answered one comes by itself
            data.quarantine(request.tag());                            // its target may not have let go of the memory
            boolean isolated = data(request).isolates();
            if (isolated || request.release()) commit(request, Errno.EIO.result());   // or the last operation comes here
        }
    }

    /**
     * Keeps this process from being killed as far as can be, see {@link UblkServer#unprivileged}. On the loop, before the first
     * request.
     */
    void guard(Duration patience) {
        guarded = true;
        if (times == null) times = new RequestTimes(loop.kernel(), listener, depth);
        loop.schedulePeriodically(() -> drainIfLate(patience), GUARD_SECONDS, GUARD_SECONDS, TimeUnit.SECONDS);
    }

    /** The kernel's clock began to run when it queued the request, which is a little before we hear of it. */
    private void drainIfLate(Duration patience) {
        long latest = loop.kernel().nanoTime() - patience.toNanos();
        boolean late = state == Fetch.STARVED && starvedNanos - latest <= 0;
        for (BlockRequest request : requests) {
            late |= request != null && Objects.requireNonNull(times).arrivedNanos(request.tag()) - latest <= 0;
        }
        if (late) drain("a request has waited for " + patience.toSeconds() + " s, and at 30 s the kernel would kill this process");
    }

    /**
     * Gives nothing new to the target, and completes when all it had is answered and committed: what comes meanwhile is kept
     * as the driver sent it, for the next server or until {@link #resume}. Any thread.
     */
    Mono<Void> hold() {
        return Mono.create(sink -> loop.execute(() -> whenQuiet = sink));
    }

    private boolean isQuiet() {
        for (BlockRequest request : requests) if (request != null) return false;
        return mailbox.isEmpty() && filling.isEmpty() && withKernel.isEmpty();
    }

    private boolean lose(BlockRequest request) {
        if (!request.lose()) return false;
        lost.add(request);
        return true;
    }

    /**
     * Whether a lost target still has operations under way on the queue's memory. Those on the queue's own loop end with
     * that; others do not know of it. Once the loop has ended, by whoever ends the device.
     */
    boolean isInUse() {
        return lost.stream().anyMatch(request -> request.usesAfterItsAnswer() > 0);
    }

    /** What the kernel waits for though it is answered: requests whose bytes are still in use. On the loop. */
    List<String> inUseAfterTheirAnswers() {
        return Stream.of(requests).filter(request -> request != null && request.usesAfterItsAnswer() > 0)
                .map(request -> request + " is answered, but operations on its bytes have not ended")
                .toList();
    }

    /** Who waits for quiet waits no longer: there is something more urgent, as he will find. */
    private void stopWaitingForQuiet() {
        if (whenQuiet != null) whenQuiet.success();
    }

    /** Goes on as if nothing had been held. On the loop. */
    void resume() {
        stopWaitingForQuiet();
        whenQuiet = null;
        for (Integer tag = kept.poll(); tag != null; tag = kept.poll()) deliver(tag);
    }

    /** The device has another size. Any thread. */
    void resized(long bytes) {
        parameters = parameters.withSize(bytes);
    }

    /** The device has stopped: there will be no more requests. On the loop. */
    void stopped() {
        if (state == Fetch.DONE) return;
        state = Fetch.DONE;
        for (BlockRequest request : requests) if (request != null) lose(request);
        CoreSubscriber<? super BlockRequest> actual = subscriber;
        if (actual != null) complete(actual);
        stopWaitingForQuiet();
    }

    private void fail(KernelException e) {
        LOG.error(this + " has failed", e);
        state = Fetch.DONE;
        for (BlockRequest request : requests) if (request != null) lose(request);
        CoreSubscriber<? super BlockRequest> actual = subscriber;
        subscriber = null;
        if (actual != null && !cancelled) actual.onError(e);
        whenFailed.tryEmitError(e);
        stopWaitingForQuiet();
    }

    /** Completes when the driver says that the device was stopped, whoever did it; of a fetch that is not armed it cannot. */
    Mono<Void> whenStopped() {
        return whenStopped.asMono();
    }

    /** Fails when the queue does; else never signals. */
    Mono<Void> whenFailed() {
        return whenFailed.asMono();
    }

    /** Completes when the target has let go of everything. */
    Mono<Void> whenTargetEnded() {
        return target.whenEnded();
    }

    /** Nothing will be heard of it any more. After the end of the loop. */
    void closed() {
        listener.onClosed(this);
    }

    /** Tells a target that did not end by itself to. On the loop. */
    void cancelTarget() {
        target.cancel();
    }

    /** It gets nothing more, and will answer nothing more. Any thread. */
    void targetEnded(@Nullable Throwable failure) {
        try {
            loop.execute(() -> {
                if (failure == null) {
                    whenReady.tryEmitError(new IllegalStateException("the target of " + this + " ended without subscribing to it"));
                    drain("its target ended");
                } else {
                    // If it is too late to tell who starts the device; a target often cancels its queue first, which tells nothing.
                    if (whenReady.tryEmitError(failure).isFailure()) LOG.error("the target of " + this + " failed", failure);
                    drain("its target failed: " + failure);
                }
            });
        } catch (RejectedExecutionException late) {
            // The loop is closed, and with it everything the task would have changed.
        }
    }

    /** An operator dropped something that will not come back. Any thread. */
    void discarded(Object discarded) {
        if (discarded instanceof BlockRequest request && request.queue() == this && request.answer(request.fail(Errno.EIO))) {
            LOG.warn("{} was discarded by an operator and is answered with EIO", request);
            if (request.release()) answered(request);
        }
    }


    // ------------------------------------------------------------------------------------------- what it is

    @Override
    public int id() {
        return id;
    }

    @Override
    public int deviceId() {
        return deviceId;
    }

    @Override
    public int depth() {
        return depth;
    }

    @Override
    public long sizeBytes() {
        return parameters.sizeBytes();
    }

    @Override
    public int blockSize() {
        return parameters.blockSize();
    }

    @Override
    public DeviceParameters parameters() {
        return parameters;
    }

    @Override
    public boolean isRecovered() {
        return recovered;
    }

    @Override
    public EventLoop loop() {
        return loop;
    }

    @Override
    DataBuffers data(BlockRequest request) {
        return request.isShared() ? shared : data;
    }

    @Override
    public String toString() {
        return "queue " + id + " of /dev/ublkb" + deviceId;
    }
}
