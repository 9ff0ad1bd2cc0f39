package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.RawQueue.Delivered;
import io.reactorublk.RawQueue.Element;
import io.reactorublk.abi.ublk_cmd_h;
import io.reactorublk.abi.ublk_shmem_buf_reg;
import io.reactorublk.uring.Errno;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;

/** Memory that a server has registered, and requests of applications that come from it: {@code UBLK_F_SHMEM_ZC}. */
abstract class DriverSharedMemoryContract extends DriverContract {

    private static final long REGISTER = ublk_cmd_h.UBLK_U_CMD_REG_BUF();
    private static final long UNREGISTER = ublk_cmd_h.UBLK_U_CMD_UNREG_BUF();
    private static final int BYTES = (int) ublk_shmem_buf_reg.layout().byteSize();
    private static final int READ_ONLY = ublk_cmd_h.UBLK_SHMEM_BUF_READ_ONLY();

    private RawQueue queue;

    private int sharing() {
        return add(1, DEPTH, MAX_IO, ublk_cmd_h.UBLK_F_SHMEM_ZC());
    }

    private int live() {
        int id = sharing();
        queue = queue(open(id), 0, DEPTH);
        start(id, queue, DEPTH);
        queue.lend(DEPTH * DEPTH);
        return id;
    }

    private MemorySegment registration(long address, long length, int flags) {
        MemorySegment registration = control.memory(BYTES);
        ublk_shmem_buf_reg.addr(registration, address);
        ublk_shmem_buf_reg.len(registration, length);
        ublk_shmem_buf_reg.flags(registration, flags);
        return registration;
    }

    private Answer register(int id, MemorySegment memory) {
        return register(id, memory, 0);
    }

    private Answer register(int id, MemorySegment memory, int flags) {
        return control.send(REGISTER, id, registration(memory.address(), memory.byteSize(), flags));
    }

    private Errno refusal(int id, long address, long length, int flags) {
        return errnoOf(control.send(REGISTER, id, registration(address, length, flags)));
    }

    private Answer unregister(int id, int index) {
        return control.send(UNREGISTER, id, index);
    }

    private MemorySegment pages(int count) {
        return control.memory((long) count * BLOCK).fill((byte) 1);
    }

    private static boolean isShared(Delivered request) {
        return (request.flags() & ublk_cmd_h.UBLK_IO_F_SHMEM_ZC()) != 0;
    }

    /** One read into this memory, which the server answers with all of it done. */
    private Delivered read(Disk disk, MemorySegment into) {
        CompletableFuture<Void> read = disk.read(QUIET, into);
        Delivered request = next(queue);
        resultOf(queue.commit(queue.done(request, 7)));
        get(read);
        return request;
    }

    // ------------------------------------------------------------------------------------------- registering

    @Test
    void memoryHasTheLowestNumberThatIsFree() {
        for (int id : new int[] {sharing(), live()}) {
            assertThat(resultOf(register(id, pages(1)))).isZero();
            assertThat(resultOf(register(id, pages(2)))).isEqualTo(1);
            assertThat(resultOf(unregister(id, 0))).isZero();
            assertThat(resultOf(register(id, pages(3)))).isZero();
            assertThat(resultOf(register(id, pages(1)))).isEqualTo(2);
        }
    }

    @Test
    void aDeviceThatWasNotMadeForItRefuses() {
        int id = add(1, DEPTH);
        assertThat(errnoOf(register(id, pages(1)))).isEqualTo(Errno.EOPNOTSUPP);
        assertThat(errnoOf(unregister(id, 0))).isEqualTo(Errno.EOPNOTSUPP);
    }

    @Test
    void whatIsNoWholePagesIsRefused() {
        int id = sharing();
        long address = pages(4).address();
        assertThat(refusal(id, address, 0, 0)).isEqualTo(Errno.EINVAL);
        assertThat(refusal(id, address, BLOCK + 512, 0)).isEqualTo(Errno.EINVAL);
        assertThat(refusal(id, address + 512, BLOCK, 0)).isEqualTo(Errno.EINVAL);
        assertThat(refusal(id, address, (1L << 32) + BLOCK, 0)).as("more than 4 GiB").isEqualTo(Errno.EINVAL);
    }

    @Test
    void whatNobodyKnowsIsRefused() {
        int id = sharing();
        MemorySegment pages = pages(1);
        assertThat(refusal(id, pages.address(), BLOCK, 2)).as("flags").isEqualTo(Errno.EINVAL);
        MemorySegment reserved = registration(pages.address(), BLOCK, 0);
        ublk_shmem_buf_reg.reserved(reserved, 1);
        assertThat(errnoOf(control.send(REGISTER, id, reserved))).isEqualTo(Errno.EINVAL);
        assertThat(resultOf(control.send(REGISTER, id, 0, reserved, 16))).as("cut off before that").isZero();
        assertThat(errnoOf(control.send(REGISTER, id, 0, registration(pages.address(), BLOCK, 0), 8))).as("no length").isEqualTo(Errno.EINVAL);
    }

    @Test
    void memoryThatIsNotThereIsRefused() {
        int id = sharing();
        assertThat(refusal(id, NOWHERE, BLOCK, 0)).isEqualTo(Errno.EFAULT);
        assertThat(errnoOf(control.send(REGISTER, id, 0, MemorySegment.ofAddress(NOWHERE), BYTES))).isEqualTo(Errno.EFAULT);
    }

    @Test
    void aPageIsRegisteredOnce() {
        int id = sharing();
        MemorySegment pages = pages(4);
        assertThat(resultOf(register(id, pages.asSlice(0, 2 * BLOCK)))).isZero();
        assertThat(errnoOf(register(id, pages.asSlice(BLOCK, 2 * BLOCK)))).isEqualTo(Errno.EEXIST);
        assertThat(resultOf(register(id, pages.asSlice(2 * BLOCK, 2 * BLOCK)))).as("beside it").isEqualTo(1);
        assertThat(resultOf(register(sharing(), pages))).as("with another device").isZero();
    }

    @Test
    void whatIsNotRegisteredCannotBeTakenBack() {
        int id = sharing();
        assertThat(resultOf(register(id, pages(1)))).isZero();
        assertThat(errnoOf(unregister(id, 1))).isEqualTo(Errno.ENOENT);
        assertThat(errnoOf(unregister(id, 0xffff))).isEqualTo(Errno.ENOENT);
        assertThat(errnoOf(unregister(id, 0x10000))).isEqualTo(Errno.EINVAL);
        assertThat(errnoOf(unregister(id, -1))).isEqualTo(Errno.EINVAL);
        assertThat(resultOf(unregister(id, 0))).isZero();
        assertThat(errnoOf(unregister(id, 0))).isEqualTo(Errno.ENOENT);
    }

    // ------------------------------------------------------------------------------------------- requests

    @Test
    void aRequestInRegisteredMemoryIsNamedAndNotCopied() {
        int id = live();
        Disk disk = disk(id);
        MemorySegment other = pages(1);
        MemorySegment pages = pages(8);
        assertThat(resultOf(register(id, other))).isZero();
        assertThat(resultOf(register(id, pages))).isEqualTo(1);

        Delivered read = read(disk, pages.asSlice(3 * BLOCK, 2 * BLOCK));
        assertThat(isShared(read)).isTrue();
        assertThat(read.address()).isEqualTo((1L << 32) + 3 * BLOCK);
        assertThat(pages.mismatch(other)).as("what the server wrote elsewhere is not there").isEqualTo(BLOCK);

        queue.memory(0).fill((byte) 9);
        CompletableFuture<Void> write = disk.write(QUIET, pages.asSlice(0, BLOCK));
        Delivered written = next(queue);
        assertThat(isShared(written)).isTrue();
        assertThat(written.address()).isEqualTo(1L << 32);
        resultOf(queue.commit(queue.element(written.tag(), BLOCK)));
        get(write);
    }

    @Test
    void aRequestThatLiesHalfOutsideIsServedAsEver() {
        int id = live();
        Disk disk = disk(id);
        MemorySegment pages = pages(6);
        assertThat(resultOf(register(id, pages.asSlice(0, 2 * BLOCK)))).isZero();
        assertThat(resultOf(register(id, pages.asSlice(2 * BLOCK, 2 * BLOCK)))).isEqualTo(1);
        for (int first : new int[] {1, 3, 4}) {
            MemorySegment part = pages.asSlice((long) first * BLOCK, 2 * BLOCK);
            Delivered request = read(disk, part.fill((byte) 1));
            assertThat(isShared(request)).as("from page " + first).isFalse();
            assertThat(part.mismatch(MemorySegment.ofArray(filled(2 * BLOCK, 7)))).isEqualTo(-1);
        }
    }

    @Test
    void memoryTheKernelMayNotWriteServesWritesOnly() {
        int id = live();
        Disk disk = disk(id);
        MemorySegment pages = pages(2);
        assertThat(resultOf(register(id, pages, READ_ONLY))).isZero();
        assertThat(isShared(read(disk, pages))).isFalse();
        CompletableFuture<Void> write = disk.write(QUIET, pages);
        Delivered written = next(queue);
        assertThat(isShared(written)).isTrue();
        resultOf(queue.commit(queue.element(written.tag(), written.length())));
        get(write);
    }

    /** Where it copies, the driver asks again for the rest. Here an application that is told so little hears that all was done. */
    @Test
    void anAnswerThatIsTooShortPassesForAllOfIt() {
        int id = live();
        Disk disk = disk(id);
        MemorySegment pages = pages(4);
        assertThat(resultOf(register(id, pages))).isZero();
        CompletableFuture<Void> read = disk.read(QUIET, pages);
        resultOf(queue.commit(queue.element(next(queue).tag(), BLOCK)));
        get(read);
        CompletableFuture<Void> write = disk.write(QUIET, pages);
        resultOf(queue.commit(queue.element(next(queue).tag(), BLOCK)));
        get(write);
        CompletableFuture<Void> nothing = disk.write(QUIET, pages);
        resultOf(queue.commit(queue.element(next(queue).tag(), 0)));
        get(nothing);
        CompletableFuture<Void> nothingRead = disk.read(QUIET, pages);
        resultOf(queue.commit(queue.element(next(queue).tag(), 0)));
        assertThat(failureOf(nothingRead)).isEqualTo(Errno.EIO);
    }

    @Test
    void whatWasTakenBackIsCopiedAgain() {
        int id = live();
        Disk disk = disk(id);
        MemorySegment pages = pages(1);
        assertThat(resultOf(register(id, pages))).isZero();
        assertThat(isShared(read(disk, pages))).isTrue();
        assertThat(resultOf(unregister(id, 0))).isZero();
        assertThat(isShared(read(disk, pages))).isFalse();
        assertThat(pages.mismatch(MemorySegment.ofArray(filled(BLOCK, 7)))).isEqualTo(-1);
    }

    // ------------------------------------------------------------------------------------------- waiting

    @Test
    void registeringWaitsForTheRequestsUnderWayAndHoldsUpOthers() {
        int id = live();
        Disk disk = disk(id);
        MemorySegment pages = pages(1);
        CompletableFuture<Void> before = disk.read(QUIET, pages);
        Delivered request = next(queue);
        Answer registered = register(id, pages);
        settle();
        CompletableFuture<Void> after = disk.read(QUIET, pages);
        settle();
        assertThat(registered.isThere()).isFalse();
        assertThat(queue.delivered).as("what came meanwhile").isEmpty();

        resultOf(queue.commit(queue.done(request, 7)));
        get(before);
        assertThat(isShared(request)).isFalse();
        assertThat(resultOf(registered)).isZero();
        Delivered next = next(queue);
        assertThat(isShared(next)).isTrue();
        resultOf(queue.commit(queue.element(next.tag(), BLOCK)));
        get(after);
    }

    @Test
    void aStopWaitsForWhoRegisters() {
        int id = live();
        Disk disk = disk(id);
        MemorySegment pages = pages(1);
        CompletableFuture<Void> read = disk.read(QUIET, pages);
        Delivered request = next(queue);
        Answer registered = register(id, pages);
        settle();
        Answer stopped = control.send(STOP, id);
        settle();
        assertThat(registered.isThere()).isFalse();
        assertThat(stopped.isThere()).isFalse();
        Element done = queue.done(request, 7);
        resultOf(queue.commit(done));
        get(read);
        assertThat(resultOf(registered)).isZero();
        assertThat(resultOf(stopped)).isZero();
    }
}
