package io.reactorublk;

import reactor.core.Exceptions;
import reactor.util.Logger;
import reactor.util.Loggers;

/** Keeps what an observer throws away from the queue it observes, where it would lose requests. */
record GuardedListener(QueueListener listener) implements QueueListener {

    private static final Logger LOG = Loggers.getLogger(GuardedListener.class);

    @Override
    public QueueListener forQueue(BlockQueue queue) {
        try {
            QueueListener own = listener.forQueue(queue);
            return own == NONE ? NONE : new GuardedListener(own);
        } catch (Throwable e) {
            complain(e);
            return NONE;
        }
    }

    @Override
    public void onFetched(BlockQueue queue, int tags) {
        try {
            listener.onFetched(queue, tags);
        } catch (Throwable e) {
            complain(e);
        }
    }

    @Override
    public void onStarved(BlockQueue queue) {
        try {
            listener.onStarved(queue);
        } catch (Throwable e) {
            complain(e);
        }
    }

    @Override
    public void onRebuilt(BlockQueue queue) {
        try {
            listener.onRebuilt(queue);
        } catch (Throwable e) {
            complain(e);
        }
    }

    @Override
    public void onCommitted(BlockQueue queue, int completions) {
        try {
            listener.onCommitted(queue, completions);
        } catch (Throwable e) {
            complain(e);
        }
    }

    @Override
    public void onCompleted(BlockRequest request, int result, long nanos) {
        try {
            listener.onCompleted(request, result, nanos);
        } catch (Throwable e) {
            complain(e);
        }
    }

    @Override
    public void onClosed(BlockQueue queue) {
        try {
            listener.onClosed(queue);
        } catch (Throwable e) {
            complain(e);
        }
    }

    private void complain(Throwable e) {
        Exceptions.throwIfJvmFatal(e);
        LOG.error(listener + " failed", e);
    }
}
