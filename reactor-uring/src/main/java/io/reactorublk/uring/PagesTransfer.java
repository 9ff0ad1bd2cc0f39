package io.reactorublk.uring;

/**
 * One transfer of a driver's pages: three entries in one chain, because only a link makes the kernel promise their order.
 *
 * <pre>
 *   register ──link──► read or write ──hard link──► unregister
 * </pre>
 *
 * <p>If the first is refused the others do not start; the second may be short or fail, and the third still runs. The
 * operation has the pages to itself at an index of its own, so many of them can use the same pages at once.
 */
final class PagesTransfer implements CompletionHandler {

    private final CompletionHandler transfer;
    private int refusal;

    private PagesTransfer(CompletionHandler transfer) {
        this.transfer = transfer;
    }

    /** Stages the chain, if there is a place for it. Returns the id of the transfer itself, for {@link Ring#cancel}. */
    static long stage(Ring ring, FileOperation<Integer> operation, IoBuffer.Pages pages, FileTransfer transfer) {
        int index = ring.takeBuffer(operation::resume);
        if (index < 0) return FileMono.LATER;
        ring.reserve(3);
        PagesTransfer chain = new PagesTransfer(operation);
        Sqe sqe = ring.stage(chain::onRegistered);
        pages.registrar().register(sqe, index);
        sqe.link();
        long id = transfer.write(ring.stage(chain), new IoBuffer.Fixed(ring, index, pages.offset(), pages.length()))
                .hardLink().id();
        pages.registrar().unregister(ring.stage((result, flags) -> ring.giveBuffer(index)), index);
        return id;
    }

    private void onRegistered(int result, int flags) {
        refusal = Math.min(result, 0);
    }

    /** A transfer that did not start ends with ECANCELED; why is what its registration said. */
    @Override
    public void onCompletion(int result, int flags) {
        transfer.onCompletion(result == Errno.ECANCELED.result() && refusal < 0 ? refusal : result, flags);
    }
}
