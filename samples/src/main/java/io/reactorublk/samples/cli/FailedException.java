package io.reactorublk.samples.cli;

/** A command could not do what it was asked to; the message tells why, and what helps. */
final class FailedException extends RuntimeException {

    FailedException(String message) {
        super(message);
    }
}
