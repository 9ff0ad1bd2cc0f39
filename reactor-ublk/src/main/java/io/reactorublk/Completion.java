package io.reactorublk;

import io.reactorublk.uring.Errno;

/**
 * A request and its result. Made by {@link BlockRequest#complete()} and its siblings; emitted by a target, once for each
 * request.
 *
 * @param request what was asked
 * @param result the bytes done, or {@code -errno}. Made safe here: a READ or WRITE of no bytes becomes EIO, because the
 *     driver would send a write of 0 bytes again for ever; a short count is rounded down to whole blocks, and the kernel
 *     sends the rest again. Of a request in {@linkplain SharedMemory shared memory} every short count becomes EIO, because
 *     the driver would tell the application that all of it was done.
 */
public record Completion(BlockRequest request, int result) {

    /**
     * Checks the result.
     *
     * @throws IllegalStateException if more bytes were done than were asked for
     */
    public Completion {
        if (result >= 0 && request.operation().hasData() && result != request.length()) {
            if (result > request.length()) {
                throw new IllegalStateException(request + " cannot complete with " + result + " bytes: it asked for "
                        + request.length());
            }
            int wholeBlocks = result - result % request.queue().blockSize();
            result = wholeBlocks > 0 && !request.isShared() ? wholeBlocks : Errno.EIO.result();
        }
    }
}
