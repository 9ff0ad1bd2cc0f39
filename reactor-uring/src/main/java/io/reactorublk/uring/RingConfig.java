package io.reactorublk.uring;

/**
 * The sizes of a ring.
 *
 * @param submissionEntries submission queue entries, 1 to {@value #MAX_SUBMISSION_ENTRIES}; the kernel rounds up to a
 *     power of two. More operations than this in one turn cost one more system call, nothing else.
 * @param completionEntries completion queue entries, 1 to {@value #MAX_COMPLETION_ENTRIES}, at least
 *     {@code submissionEntries}. A multishot operation ends when they run out, so allow for everything in flight.
 * @param largeEntries 128-byte submission entries, for commands with more than 16 bytes of payload
 * @param fileOperations how many operations of {@link UringFile}s may be under way at a time, at least 1; the others wait for their
 *     turn. Each needs one entry, or three for {@link IoBuffer.Pages}: whoever sizes the queues for that many never enters the
 *     kernel twice in a turn, and never runs out of completions.
 */
public record RingConfig(int submissionEntries, int completionEntries, boolean largeEntries, int fileOperations) {

    /** {@code IORING_MAX_ENTRIES} of {@code io_uring/io_uring.h}. */
    public static final int MAX_SUBMISSION_ENTRIES = 32_768;
    /** {@code IORING_MAX_CQ_ENTRIES}. */
    public static final int MAX_COMPLETION_ENTRIES = 65_536;

    /** 256 submissions, 1024 completions, 64-byte entries. */
    public static final RingConfig DEFAULT = new RingConfig(256, 1024, false);

    /** With as many file operations as there are completion entries. */
    public RingConfig(int submissionEntries, int completionEntries, boolean largeEntries) {
        this(submissionEntries, completionEntries, largeEntries, completionEntries);
    }

    public RingConfig {
        if (submissionEntries < 1 || submissionEntries > MAX_SUBMISSION_ENTRIES) {
            throw new IllegalArgumentException(submissionEntries + " submission entries: from 1 to "
                    + MAX_SUBMISSION_ENTRIES + " are possible");
        }
        if (fileOperations < 1) throw new IllegalArgumentException(fileOperations + " file operations at a time: at least 1 is needed");
        if (completionEntries < submissionEntries || completionEntries > MAX_COMPLETION_ENTRIES) {
            throw new IllegalArgumentException(completionEntries + " completion entries: from " + submissionEntries
                    + " (the submission entries) to " + MAX_COMPLETION_ENTRIES + " are possible");
        }
    }
}
