package io.reactorublk;

/**
 * What a queue tells an observer. Called on the queue's loop: a listener must neither block nor throw, and a listener that
 * serves several queues is called from several threads, unless it has one {@linkplain #forQueue for each}.
 */
public interface QueueListener {

    /** Hears nothing, at no cost. */
    QueueListener NONE = new QueueListener() {};

    /**
     * Who shall hear of this queue, instead of this listener. Called once for each queue, before there is anything to tell of
     * it: what is kept for each queue then needs no table, and no care for other threads. By default one hears of all.
     *
     * @param queue not to be subscribed to
     */
    default QueueListener forQueue(BlockQueue queue) {
        return this;
    }

    /** This one, and then the other, which hears of everything even if this one fails. */
    default QueueListener and(QueueListener other) {
        return new TwoListeners(new GuardedListener(this), new GuardedListener(other));
    }

    /** Tags arrived in one completion of the fetch: the batch size on the way in. */
    default void onFetched(BlockQueue queue, int tags) {}

    /** A fetch ended because the subscriber had asked for nothing more while requests waited: the target is the limit. */
    default void onStarved(BlockQueue queue) {}

    /** The kernel had used lent slots without being able to say so; they were lent again. Should never be heard. */
    default void onRebuilt(BlockQueue queue) {}

    /** Results left in one commit: the batch size on the way out. */
    default void onCommitted(BlockQueue queue, int completions) {}

    /**
     * The answer to a request leaves with the commit that {@link #onCommitted} will tell of, given by its target or, when that is
     * lost, by the queue in its place.
     *
     * @param result bytes done or {@code -errno}, as committed
     * @param nanos from its arrival to this moment; requests that arrive in one completion of the fetch arrive at the same time,
     *     and those that leave in one commit leave at the same time
     */
    default void onCompleted(BlockRequest request, int result, long nanos) {}

    /** The queue has ended, and with it its loop: nothing more will be told of it. On whatever thread that came to pass. */
    default void onClosed(BlockQueue queue) {}
}
