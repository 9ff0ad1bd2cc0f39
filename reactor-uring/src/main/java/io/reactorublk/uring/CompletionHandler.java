package io.reactorublk.uring;

/**
 * What to do when an operation completes. Called on the thread that reaps the ring, once per completion queue entry: once
 * for an ordinary operation, for a multishot one until an entry comes without {@code IORING_CQE_F_MORE}.
 */
@FunctionalInterface
public interface CompletionHandler {

    /** For an operation whose outcome tells us nothing, such as a cancellation that may come too late. */
    CompletionHandler IGNORE = (result, flags) -> {};

    /**
     * One completion.
     *
     * @param result what the operation returned: its man page's return value, or {@code -errno}
     * @param flags {@code IORING_CQE_F_*}
     */
    void onCompletion(int result, int flags);
}
