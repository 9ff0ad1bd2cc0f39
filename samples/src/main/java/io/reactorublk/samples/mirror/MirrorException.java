package io.reactorublk.samples.mirror;

/** These replicas cannot be a mirror. The message is for the person at the terminal: what was found, and what helps. */
public final class MirrorException extends RuntimeException {

    /** A refusal that explains itself. */
    public MirrorException(String message) {
        super(message);
    }
}
