package io.reactorublk.uring.memory;

import io.reactorublk.uring.EventLoop;
import io.reactorublk.uring.Kernel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;

/** A deterministic kernel in memory. */
@SuppressWarnings("DoNotCallSuggester") // the methods follow
public final class MemoryKernel implements Kernel {

    private MemoryKernel() {}

    /** A kernel in which everything completes in order, as soon as it can. */
    public static MemoryKernel create() {
        return new MemoryKernel();
    }

    /** A kernel in which a seed picks what of all that can happen happens next. */
    public static MemoryKernel create(long seed) {
        return new MemoryKernel();
    }

    /** Lets everything happen that can happen now. Does not move the clock. */
    public void settle() {
        throw new UnsupportedOperationException();
    }

    /** Lets one thing happen of all that can happen now; false if there is none. */
    public boolean step() {
        throw new UnsupportedOperationException();
    }

    /** Moves the clock from deadline to deadline, and settles at each. */
    public void advanceTime(Duration time) {
        throw new UnsupportedOperationException();
    }

    /** Plugs a device in. */
    public void device(String path, CharacterDevice device) {
        throw new UnsupportedOperationException();
    }

    @Override
    public int ioUringSetup(int entries, MemorySegment params) {
        throw new UnsupportedOperationException();
    }

    @Override
    public int ioUringEnter(int ring, int toSubmit, int minComplete, int flags, MemorySegment argument) {
        throw new UnsupportedOperationException();
    }

    @Override
    public int ioUringRegister(int ring, int opcode, MemorySegment argument, int count) {
        throw new UnsupportedOperationException();
    }

    @Override
    public int open(String path, int flags, int mode) {
        throw new UnsupportedOperationException();
    }

    @Override
    public void close(int fd) {
        throw new UnsupportedOperationException();
    }

    @Override
    public MemorySegment mmap(int fd, long offset, long length, int protection, int flags, Arena arena) {
        throw new UnsupportedOperationException();
    }

    @Override
    public void mlock(MemorySegment memory) {
        throw new UnsupportedOperationException();
    }

    @Override
    public int eventfd() {
        throw new UnsupportedOperationException();
    }

    @Override
    public void eventfdWrite(int fd) {
        throw new UnsupportedOperationException();
    }

    @Override
    public void prctl(int option, long argument) {
        throw new UnsupportedOperationException();
    }

    @Override
    public long nanoTime() {
        throw new UnsupportedOperationException();
    }

    @Override
    public void start(EventLoop loop) {
        throw new UnsupportedOperationException();
    }
}
