package io.reactorublk.uring;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.ArrayList;
import java.util.List;
import java.util.PriorityQueue;
import java.util.Queue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;
import reactor.core.Disposable;
import reactor.core.Disposables;
import reactor.core.Exceptions;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Scheduler;
import reactor.util.Logger;
import reactor.util.Loggers;
import reactor.util.concurrent.Queues;

/**
 * Drives one {@link Ring}, one {@link #turn} at a time, and is a Reactor {@link Scheduler}: {@code publishOn(loop)} brings a
 * pipeline to the thread that owns the ring.
 *
 * <p>A turn is: run what other threads asked for, let those who batch stage their part, enter the kernel once, tell every
 * handler what completed. The thread is somebody else's matter, see {@link Kernel#start}. Nothing that runs on a loop may
 * block; where Reactor can tell, it throws.
 *
 * <p>The loop ends by {@link #dispose}: what can be cancelled is, the rest is waited for, then the ring is closed.
 */
public final class EventLoop implements Scheduler {

    private static final Logger LOG = Loggers.getLogger(EventLoop.class);
    private static final VarHandle ASLEEP;

    static {
        try {
            ASLEEP = MethodHandles.lookup().findVarHandle(EventLoop.class, "asleep", boolean.class);
        } catch (ReflectiveOperationException e) {
            throw new ExceptionInInitializerError(e);
        }
    }

    /** Of so many turns {@link #sampleTurns} tells of one. A prime, so that no rhythm of busy and idle turns hides the busy ones. */
    public static final int TURNS_A_SAMPLE = 17;

    private static final int TASKS_A_TURN = 1024;
    /** Later than this nothing is scheduled, or two deadlines could lie too far apart to be compared. */
    private static final long LATEST_NANOS = Long.MAX_VALUE / 2;

    private final Kernel kernel;
    private final String name;
    private final Ring ring;
    private final Arena arena = Arena.ofShared();
    private final int wakeUpFd;
    private final MemorySegment wakeUps;
    private final CompletionHandler onWokenUp = this::onWokenUp;
    private final Queue<Runnable> tasks = Queues.<Runnable>unboundedMultiproducer().get();
    private final PriorityQueue<Timer> timers = new PriorityQueue<>();
    private final List<Timer> dueTimers = new ArrayList<>();
    private final AtomicLong timersMade = new AtomicLong();
    private final List<Runnable> hooks = new ArrayList<>();
    private final TurnSamples samples;
    private final Sinks.Empty<Void> whenClosed = Sinks.empty();
    private final AtomicInteger lateTasks = new AtomicInteger();

    /** Who is turning the loop right now. Racy reads are harmless: only who wrote himself here can find himself here. */
    private @Nullable Thread turner;
    private boolean enabled;
    private boolean cancelled;
    /** Wake-ups that somebody has decided on and that we have not read yet. Not before they are in may the descriptor go. */
    private long wakeUpsOwed;
    /** Whether others may take {@link #asleep} from us: between accept and refuse. */
    private boolean accepting;
    private volatile boolean asleep;
    private volatile boolean disposed;
    private volatile boolean closed;
    private volatile @Nullable Consumer<? super Throwable> whenUncaught;

    /**
     * A running loop.
     *
     * @param name of its thread
     * @throws KernelException if the kernel refuses a ring; nothing is left behind
     */
    public static EventLoop start(Kernel kernel, String name, RingConfig config) {
        EventLoop loop = new EventLoop(kernel, name, config);
        kernel.start(loop);
        return loop;
    }

    /** A running loop on this machine's kernel, with a ring of {@link RingConfig#DEFAULT} size. */
    public static EventLoop start(String name) {
        return start(Kernel.linux(), name, RingConfig.DEFAULT);
    }

    private EventLoop(Kernel kernel, String name, RingConfig config) {
        this.kernel = kernel;
        this.name = name;
        samples = new TurnSamples(kernel);
        ring = Ring.open(kernel, config, this::uncaught);
        try {
            wakeUps = kernel.allocate(Long.BYTES, arena);
            wakeUpFd = kernel.eventfd();
        } catch (RuntimeException e) {
            ring.close();
            arena.close();
            throw e;
        }
    }

    /** The name of the loop and of its thread. */
    public String name() {
        return name;
    }

    /** The loop's ring, for use on the loop only. */
    public Ring ring() {
        return ring;
    }

    /** The kernel below. */
    public Kernel kernel() {
        return kernel;
    }

    /** Whether the caller runs inside a turn of this loop, and so may use its ring. */
    public boolean inLoop() {
        return turner == Thread.currentThread();
    }

    /**
     * One turn: tasks, hooks, one system call, completions. For whoever gives the loop its time, and nobody else.
     *
     * @return whether there will be another: not if the loop has just closed
     * @throws KernelException if the kernel refuses the turn as such: the loop has died, and whoever waits for its end knows
     * @throws Error one that is fatal for the JVM, from a task or a handler: the loop has died of that
     */
    public boolean turn() {
        try {
            return turnUnlessRefused();
        } catch (Throwable e) {
            abandon(e);
            throw e;
        }
    }

    private boolean turnUnlessRefused() {
        turner = Thread.currentThread();
        try {
            samples.turnBegins();
            if (!enabled) enable();
            refuseWakeUps();
            runTimers();
            runTasks();
            acceptWakeUps();                                           // before the last look: who adds work later wakes us
            for (int i = 0; i < hooks.size(); i++) run(hooks.get(i));
            if (disposed && closeIfQuiet()) return false;
            long timeout = nanosToNextTimer();
            samples.enters();
            ring.enter(tasks.isEmpty(), timeout);
            samples.isBack();
            // After a turn that brought nothing we go on being woken until the next begins: on a thread of its own that is
            // no time at all, but who turns us only when there is something to do, hears of it by the descriptor.
            if (ring.hasCompletions()) refuseWakeUps();
            ring.reap();
            samples.turnEnds();
            return true;
        } finally {
            turner = null;
        }
    }

    /**
     * Adds something to do in each turn, just before the kernel is entered: the place to stage what was batched.
     *
     * @return takes it away again
     */
    public Disposable beforeEnter(Runnable hook) {
        execute(() -> hooks.add(hook));
        return () -> executeUnlessDisposed(() -> hooks.remove(hook));
    }

    /**
     * Tells how long turns work: of every {@value #TURNS_A_SAMPLE}th the nanoseconds it took but for those in the kernel, where it
     * may have slept. That is how long whoever came at the wrong moment had to wait for the loop. Turns that nobody samples are not
     * timed.
     *
     * @param workNanos called on the loop, at the end of a turn; must neither block nor throw
     * @return ends it
     */
    public Disposable sampleTurns(LongConsumer workNanos) {
        execute(() -> samples.add(workNanos));
        return () -> executeUnlessDisposed(() -> samples.remove(workNanos));
    }

    /**
     * Who shall hear of what goes wrong on this loop and has nobody to be thrown at, as a thread's handler of uncaught exceptions
     * does: for whoever gives the loop its time. All of it has been logged.
     *
     * @param listener called wherever it went wrong, by any thread; must neither block nor throw
     */
    public void onUncaught(Consumer<? super Throwable> listener) {
        whenUncaught = listener;
    }

    /**
     * Something went wrong that cannot be thrown at whoever did it: a task or a handler failed, or somebody broke a rule from
     * within an operator, which would not survive that. It has been logged. Any thread.
     */
    public void uncaught(Throwable e) {
        Consumer<? super Throwable> listener = whenUncaught;
        if (listener != null) listener.accept(e);
    }

    /**
     * Runs a task on the loop: now if that is where the caller is, else in the next turn.
     *
     * @throws RejectedExecutionException if the loop is disposed
     */
    public void execute(Runnable task) {
        if (inLoop()) {
            run(task);
        } else {
            enqueue(task);
        }
    }

    /** For tidying up, of which nothing is left to do once the loop is gone. */
    private void executeUnlessDisposed(Runnable task) {
        try {
            execute(task);
        } catch (RejectedExecutionException e) {
            LOG.debug("{} is disposed, and what was to be taken out of it with it", name);
        }
    }

    private void enqueue(Runnable task) {
        if (disposed) throw Exceptions.failWithRejected(name + " is disposed");
        tasks.offer(task);
        wakeUp();
        if (closed) runLateTasks();
    }

    /** Makes a sleeping loop turn. Costs nothing to speak of if it is awake, or if somebody has woken it already. */
    public void wakeUp() {
        if (asleep && ASLEEP.compareAndSet(this, true, false)) kernel.eventfdWrite(wakeUpFd);
    }

    private void acceptWakeUps() {
        accepting = true;
        ASLEEP.setVolatile(this, true);
    }

    private void refuseWakeUps() {
        if (!accepting) return;
        accepting = false;
        boolean nobodyCame = (boolean) ASLEEP.getAndSet(this, false);
        if (!nobodyCame) wakeUpsOwed++;
    }

    private void enable() {
        ring.enable();
        enabled = true;
        awaitWakeUp();
    }

    private void awaitWakeUp() {
        ring.stage(onWokenUp).read(wakeUpFd, IoBuffer.of(wakeUps), 0);
    }

    private void onWokenUp(int result, int flags) {
        if (result > 0) wakeUpsOwed -= wakeUps.get(ValueLayout.JAVA_LONG, 0);
        if (!disposed) awaitWakeUp();
    }

    private void runTasks() {
        for (int i = 0; i < TASKS_A_TURN; i++) {
            Runnable task = tasks.poll();
            if (task == null) return;
            run(task);
        }
    }

    /** Runs each timer that is due once: a periodic one that cannot keep up must not keep the loop from its turns. */
    private void runTimers() {
        if (timers.isEmpty()) return;
        long now = kernel.nanoTime();
        for (Timer timer = timers.peek(); timer != null && timer.deadline - now <= 0; timer = timers.peek()) {
            dueTimers.add(timers.remove());
        }
        for (int i = 0; i < dueTimers.size(); i++) dueTimers.get(i).run();
        dueTimers.clear();
    }

    private long nanosToNextTimer() {
        Timer timer = timers.peek();
        return timer == null ? Ring.FOREVER : Math.max(0, timer.deadline - kernel.nanoTime());
    }

    private void run(Runnable task) {
        try {
            task.run();
        } catch (Throwable e) {
            Exceptions.throwIfJvmFatal(e);
            LOG.error("a task failed; the loop goes on", e);
            uncaught(e);
        }
    }

    /** The end: cancels what can be cancelled, and once all of it has ended closes everything. */
    private boolean closeIfQuiet() {
        if (!cancelled) {
            cancelled = true;
            ring.cancelAll();
        }
        if (ring.awaited() > 0 || !tasks.isEmpty()) return false;
        refuseWakeUps();
        if (wakeUpsOwed > 0) {                                         // somebody is about to write: not to a descriptor of others
            acceptWakeUps();
            awaitWakeUp();
            return false;
        }
        ring.close();
        kernel.close(wakeUpFd);
        arena.close();
        closed = true;
        runLateTasks();
        whenClosed.emitEmpty(Sinks.EmitFailureHandler.FAIL_FAST);
        return true;
    }

    /**
     * The kernel refused a turn as such, or the JVM has no memory: no handler can make that good. Whoever waits for the loop's
     * end learns of it before we log it, which may need memory, too. The kernel cancels what is in flight when its ring is
     * closed, in its own time, and nobody hears of that; so the memory it uses is not freed.
     */
    private void abandon(Throwable cause) {
        disposed = true;
        closed = true;
        refuseWakeUps();
        ring.close();
        if (wakeUpsOwed == 0) kernel.close(wakeUpFd);                  // else somebody is about to write to it
        whenClosed.tryEmitError(cause);
        runLateTasks();
        LOG.error(this + " has died; what it had in flight will not complete", cause);
    }

    /** Tasks that slipped in while the loop closed. They run, find it closed, and tell whoever waits for them. */
    private void runLateTasks() {
        if (lateTasks.getAndIncrement() != 0) return;
        do {
            for (Runnable task = tasks.poll(); task != null; task = tasks.poll()) runLate(task);
        } while (lateTasks.decrementAndGet() != 0);
    }

    private void runLate(Runnable task) {
        try {
            task.run();
        } catch (Throwable e) {
            LOG.error("a task of a loop that has closed failed", e);
            uncaught(e);
        }
    }

    @Override
    public Disposable schedule(Runnable task) {
        Task scheduled = new Task(task);
        enqueue(scheduled);
        return scheduled;
    }

    @Override
    public Disposable schedule(Runnable task, long delay, TimeUnit unit) {
        return schedulePeriodically(task, delay, 0, unit);
    }

    @Override
    public Disposable schedulePeriodically(Runnable task, long initialDelay, long period, TimeUnit unit) {
        long delayNanos = Math.clamp(unit.toNanos(initialDelay), 0, LATEST_NANOS);
        Timer timer = new Timer(task, kernel.nanoTime() + delayNanos, Math.min(unit.toNanos(period), LATEST_NANOS));
        if (inLoop()) {
            timers.add(timer);
        } else {
            enqueue(() -> timers.add(timer));
        }
        return timer;
    }

    @Override
    public long now(TimeUnit unit) {
        return unit.convert(kernel.nanoTime(), TimeUnit.NANOSECONDS);
    }

    @Override
    public Worker createWorker() {
        return new LoopWorker();
    }

    @Override
    public boolean isDisposed() {
        return disposed;
    }

    @Override
    public void dispose() {
        if (disposed) return;
        disposed = true;
        wakeUp();
    }

    /**
     * Completes when the loop is closed, and fails if it has died: the kernel refused a turn as such, or a handler or task
     * met what Reactor takes for the end of a JVM ({@link Exceptions#throwIfJvmFatal}), such as an {@link OutOfMemoryError}.
     * What a dead loop had in flight does not complete.
     */
    public Mono<Void> onDispose() {
        return whenClosed.asMono();
    }

    /** Disposes the loop and completes when its ring is closed and nothing of it is left. */
    @Override
    public Mono<Void> disposeGracefully() {
        return Mono.defer(() -> {
            dispose();
            return whenClosed.asMono();
        });
    }

    @Override
    public String toString() {
        return "EventLoop(" + name + ")";
    }

    /** Something to run, unless it was disposed before. */
    private final class Task implements Runnable, Disposable {

        private final Runnable body;
        private volatile boolean done;

        Task(Runnable body) {
            this.body = body;
        }

        @Override
        public void run() {
            if (done) return;
            done = true;
            EventLoop.this.run(body);
        }

        @Override
        public void dispose() {
            done = true;
        }

        @Override
        public boolean isDisposed() {
            return done;
        }
    }

    /** Something to run later, perhaps again and again. On the loop, but for {@link #dispose}. */
    private final class Timer implements Runnable, Disposable, Comparable<Timer> {

        private final Runnable body;
        private final long periodNanos;
        private final long number = timersMade.getAndIncrement();
        private long deadline;
        private volatile boolean done;

        Timer(Runnable body, long deadline, long periodNanos) {
            this.body = body;
            this.deadline = deadline;
            this.periodNanos = periodNanos;
        }

        @Override
        public void run() {
            if (done) return;
            if (periodNanos == 0) {
                done = true;
            } else {
                deadline += periodNanos;
                timers.add(this);
            }
            EventLoop.this.run(body);
        }

        /** Takes the timer out, or a thousand timeouts that never came would stay until their time. */
        @Override
        public void dispose() {
            if (done) return;
            done = true;
            executeUnlessDisposed(() -> timers.remove(this));
        }

        @Override
        public boolean isDisposed() {
            return done;
        }

        @Override
        public int compareTo(Timer other) {
            if (deadline == other.deadline) return Long.compare(number, other.number);
            return Long.signum(deadline - other.deadline);             // not compare: the clock may wrap
        }
    }

    /** Tasks in order, all of which can be taken back at once. */
    private final class LoopWorker implements Worker {

        private final Disposable.Composite pending = Disposables.composite();

        @Override
        public Disposable schedule(Runnable task) {
            return remember(done -> EventLoop.this.schedule(() -> runOnce(task, done)));
        }

        @Override
        public Disposable schedule(Runnable task, long delay, TimeUnit unit) {
            return remember(done -> EventLoop.this.schedule(() -> runOnce(task, done), delay, unit));
        }

        @Override
        public Disposable schedulePeriodically(Runnable task, long initialDelay, long period, TimeUnit unit) {
            return remember(done -> EventLoop.this.schedulePeriodically(task, initialDelay, period, unit));
        }

        private Disposable remember(Function<Disposable, Disposable> start) {
            Disposable.Swap handle = Disposables.swap();
            if (!pending.add(handle)) throw Exceptions.failWithRejected("the worker is disposed");
            handle.update(start.apply(handle));
            return handle;
        }

        private void runOnce(Runnable task, Disposable handle) {
            pending.remove(handle);
            task.run();
        }

        @Override
        public void dispose() {
            pending.dispose();
        }

        @Override
        public boolean isDisposed() {
            return pending.isDisposed();
        }
    }
}
