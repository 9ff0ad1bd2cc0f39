package io.reactorublk;

import io.reactorublk.uring.CompletionHandler;
import io.reactorublk.uring.Errno;
import org.jspecify.annotations.Nullable;

/** What the kernel says at last to one command. */
final class Answer implements CompletionHandler {

    private @Nullable Integer result;

    @Override
    public void onCompletion(int result, int flags) {
        if (this.result != null) throw new AssertionError("answered with " + this.result + " and with " + result);
        this.result = result;
    }

    boolean isThere() {
        return result != null;
    }

    int result() {
        if (result == null) throw new AssertionError("there is no answer yet");
        return result;
    }

    Errno errno() {
        if (result() >= 0) throw new AssertionError("not refused: the result is " + result);
        return Errno.of(result());
    }

    @Override
    public String toString() {
        return result == null ? "no answer" : result < 0 ? Errno.of(result).toString() : "" + result;
    }
}
