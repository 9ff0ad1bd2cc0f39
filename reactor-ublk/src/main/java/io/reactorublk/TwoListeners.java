package io.reactorublk;

/** Tells both, one after the other. */
record TwoListeners(QueueListener first, QueueListener second) implements QueueListener {

    @Override
    public QueueListener forQueue(BlockQueue queue) {
        return new TwoListeners(first.forQueue(queue), second.forQueue(queue));
    }

    @Override
    public void onFetched(BlockQueue queue, int tags) {
        first.onFetched(queue, tags);
        second.onFetched(queue, tags);
    }

    @Override
    public void onStarved(BlockQueue queue) {
        first.onStarved(queue);
        second.onStarved(queue);
    }

    @Override
    public void onRebuilt(BlockQueue queue) {
        first.onRebuilt(queue);
        second.onRebuilt(queue);
    }

    @Override
    public void onCommitted(BlockQueue queue, int completions) {
        first.onCommitted(queue, completions);
        second.onCommitted(queue, completions);
    }

    @Override
    public void onCompleted(BlockRequest request, int result, long nanos) {
        first.onCompleted(request, result, nanos);
        second.onCompleted(request, result, nanos);
    }

    @Override
    public void onClosed(BlockQueue queue) {
        first.onClosed(queue);
        second.onClosed(queue);
    }
}
