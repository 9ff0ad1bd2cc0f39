package io.reactorublk;

/**
 * What a queue tells an observer. Called on the queue's loop: a listener must neither block nor throw, and a listener that
 * serves several queues is called from several threads.
 */
public interface QueueListener {

    /** Hears nothing, at no cost. */
    QueueListener NONE = new QueueListener() {};

    /** Tags arrived in one completion of the fetch: the batch size on the way in. */
    default void onFetched(BlockQueue queue, int tags) {}

    /** A fetch ended because the subscriber had asked for nothing more while requests waited: the target is the limit. */
    default void onStarved(BlockQueue queue) {}

    /** The kernel had used lent slots without being able to say so; they were lent again. Should never be heard. */
    default void onRebuilt(BlockQueue queue) {}

    /** Results left in one commit: the batch size on the way out. */
    default void onCommitted(BlockQueue queue, int completions) {}

    /**
     * A request was answered.
     *
     * @param result bytes done or {@code -errno}, as committed
     * @param nanos from its delivery to its answer
     */
    default void onCompleted(BlockRequest request, int result, long nanos) {}
}
