package io.reactorublk.uring;

/**
 * The kernel refused one of our calls: which call, which error, and what usually helps.
 *
 * <p>This is a <em>refusal</em>: something the person who runs the program can act on. A request of a disk that fails
 * is not one; it is a negative result in a completion.
 */
public final class KernelException extends RuntimeException {

    private final String call;
    private final Errno errno;

    /**
     * A refusal with advice.
     *
     * @param call the system call or command, by the name of its man page or header, with what it was about
     * @param errno what the kernel said
     * @param hint one sentence for the person at the terminal; empty if there is nothing to say
     */
    public KernelException(String call, Errno errno, String hint) {
        super(call + ": " + errno + " (" + errno.text() + ")" + (hint.isEmpty() ? "" : ". " + hint));
        this.call = call;
        this.errno = errno;
    }

    /** A refusal that explains itself. */
    public KernelException(String call, Errno errno) {
        this(call, errno, "");
    }

    /**
     * Passes a good result on and turns a negative one into an exception.
     *
     * @return {@code result}, if it is not negative
     * @throws KernelException if it is
     */
    public static int check(String call, int result) {
        if (result < 0) throw new KernelException(call, Errno.of(result));
        return result;
    }

    /** The call that was refused. */
    public String call() {
        return call;
    }

    /** What the kernel said. */
    public Errno errno() {
        return errno;
    }
}
