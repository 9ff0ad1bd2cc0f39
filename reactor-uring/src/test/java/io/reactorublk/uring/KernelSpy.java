package io.reactorublk.uring;

import java.lang.foreign.MemorySegment;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;

/** Passes every call on to another kernel and counts it, or refuses it, or lets it wait. */
final class KernelSpy {

    private final Kernel target;
    private final Map<String, Runnable> preludes = new ConcurrentHashMap<>();
    private final Map<String, Errno> refusals = new ConcurrentHashMap<>();
    private final Map<String, Integer> calls = new ConcurrentHashMap<>();
    private final Queue<MemorySegment> memory = new ConcurrentLinkedQueue<>();

    private volatile long stoppedAt;
    private volatile boolean clockStopped;

    KernelSpy(Kernel target) {
        this.target = target;
    }

    Kernel kernel() {
        return (Kernel) Proxy.newProxyInstance(
                Kernel.class.getClassLoader(), new Class<?>[] {Kernel.class}, (proxy, method, args) -> call(method, args));
    }

    private Object call(Method method, Object[] args) throws Throwable {
        calls.merge(method.getName(), 1, Integer::sum);
        preludes.getOrDefault(method.getName(), () -> {}).run();
        Errno refusal = refusals.get(method.getName());
        if (refusal != null) throw new KernelException(method.getName(), refusal);
        try {
            Object result = method.invoke(target, args);
            if (clockStopped && method.getName().equals("nanoTime")) result = stoppedAt;
            if (result instanceof MemorySegment segment) memory.add(segment);
            return result;
        } catch (InvocationTargetException e) {
            throw e.getCause();
        }
    }

    /** From now on this runs before each such call, on the thread that makes it. */
    void before(String method, Runnable prelude) {
        preludes.put(method, prelude);
    }

    /** From now on it is always the same time. */
    void stopClock() {
        stoppedAt = target.nanoTime();
        clockStopped = true;
    }

    /** From now on it is the right time again. */
    void startClock() {
        clockStopped = false;
    }

    /** From now on this call is refused. */
    KernelSpy refuse(String method, Errno errno) {
        refusals.put(method, errno);
        return this;
    }

    /** How often a method was called. */
    int calls(String method) {
        return calls.getOrDefault(method, 0);
    }

    /** How many pieces of memory were obtained, and not given back. */
    long memoryStillMapped() {
        return memory.stream().filter(segment -> segment.scope().isAlive()).count();
    }
}
