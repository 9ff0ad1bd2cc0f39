package io.reactorublk.uring;

import reactor.core.scheduler.NonBlocking;

/**
 * Turns one loop until it closes. A platform thread, because commands parked in the kernel live only as long as the thread
 * that submitted them; a daemon, because a disk must not keep a program from ending; {@link NonBlocking}, so that
 * {@code block()} on it throws instead of waiting for itself.
 */
final class LoopThread extends Thread implements NonBlocking {

    private final EventLoop loop;

    LoopThread(EventLoop loop) {
        super(loop.name());
        this.loop = loop;
        setDaemon(true);
    }

    @Override
    public void run() {
        try {
            while (loop.turn()) {
                // One system call and what it brought; then again.
            }
        } catch (Throwable e) {
            // The loop has died of it and has said so: to the log, and to whoever waits for its end.
        }
    }
}
