package io.reactorublk;

import io.reactorublk.uring.Errno;
import io.reactorublk.uring.Kernel;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.abi.io_uring_h;
import java.lang.foreign.MemorySegment;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;

/** Another kernel, of whose calls that can be refused one is. */
final class FaultyKernel {

    private static final Set<String> REFUSABLE =
            Set.of("ioUringSetup", "ioUringRegister", "open", "mmap", "mlock", "eventfd", "allocate");

    private final Kernel kernel;
    private final int refused;
    private final AtomicInteger calls = new AtomicInteger();
    private final Queue<MemorySegment> memory = new ConcurrentLinkedQueue<>();

    /** Refuses the call with this number, counted from 1. */
    FaultyKernel(Kernel kernel, int refused) {
        this.kernel = kernel;
        this.refused = refused;
    }

    /** Another kernel, which refuses all calls of this name. */
    static Kernel refusing(Kernel kernel, String refused, Errno errno) {
        return proxy((proxy, method, args) -> {
            if (method.getName().equals(refused)) throw new KernelException(refused + ", for a test", errno);
            return passOn(kernel, method, args);
        });
    }

    /** Another kernel, which refuses the calls of this name with this first argument. */
    static Kernel refusing(Kernel kernel, String refused, Object argument, Errno errno) {
        return proxy((proxy, method, args) -> {
            if (method.getName().equals(refused) && args[0].equals(argument)) throw new KernelException(refused + " " + argument, errno);
            return passOn(kernel, method, args);
        });
    }

    /** Another kernel, whose calls of this name end with an error of the JVM. */
    static Kernel failing(Kernel kernel, String failed, Error error) {
        return proxy((proxy, method, args) -> {
            if (method.getName().equals(failed)) throw error;
            return passOn(kernel, method, args);
        });
    }

    private static Kernel proxy(InvocationHandler handler) {
        return (Kernel) Proxy.newProxyInstance(Kernel.class.getClassLoader(), new Class<?>[] {Kernel.class}, handler);
    }

    private static Object passOn(Kernel kernel, Method method, Object[] args) throws Throwable {
        try {
            return method.invoke(kernel, args);
        } catch (InvocationTargetException e) {
            throw e.getCause();
        }
    }

    Kernel kernel() {
        return proxy((proxy, method, args) -> call(method, args));
    }

    private Object call(Method method, Object[] args) throws Throwable {
        if (isRefusable(method, args) && calls.incrementAndGet() == refused) {
            throw new KernelException(method.getName() + ", for a test", Errno.ENOMEM);
        }
        Object result = passOn(kernel, method, args);
        if (result instanceof MemorySegment segment) memory.add(segment);
        return result;
    }

    /** Not what a thread does when it begins: there is nobody it could tell. */
    private static boolean isRefusable(Method method, Object[] args) {
        return REFUSABLE.contains(method.getName())
                && !(method.getName().equals("ioUringRegister")
                        && (int) args[1] == io_uring_h.IORING_REGISTER_ENABLE_RINGS());
    }

    /** Whether there were so many calls. */
    boolean hasRefused() {
        return calls.get() >= refused;
    }

    /** How many pieces of memory were obtained and not given back. */
    long memoryStillThere() {
        return memory.stream().filter(segment -> segment.scope().isAlive()).count();
    }
}
