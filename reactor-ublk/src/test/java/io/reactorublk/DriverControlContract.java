package io.reactorublk;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.reactorublk.abi.ublk_cmd_h;
import io.reactorublk.abi.ublk_param_basic;
import io.reactorublk.abi.ublk_params;
import io.reactorublk.abi.ublksrv_ctrl_cmd;
import io.reactorublk.abi.ublksrv_ctrl_dev_info;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.RingConfig;
import io.reactorublk.uring.abi.linux_h;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.BitSet;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;

/** {@code /dev/ublk-control}: what may be asked of a device, and when. */
abstract class DriverControlContract extends DriverContract {

    private static final int NOBODY = 999_999;
    private static final long ADD = ublk_cmd_h.UBLK_U_CMD_ADD_DEV();
    private static final long SET_PARAMS = ublk_cmd_h.UBLK_U_CMD_SET_PARAMS();
    private static final long GET_PARAMS = ublk_cmd_h.UBLK_U_CMD_GET_PARAMS();
    private static final long GET_INFO = ublk_cmd_h.UBLK_U_CMD_GET_DEV_INFO();
    private static final long TRY_STOP = ublk_cmd_h.UBLK_U_CMD_TRY_STOP_DEV();
    private static final long DELETE_ASYNC = ublk_cmd_h.UBLK_U_CMD_DEL_DEV_ASYNC();
    private static final long UPDATE_SIZE = ublk_cmd_h.UBLK_U_CMD_UPDATE_SIZE();
    private static final long AFFINITY = ublk_cmd_h.UBLK_U_CMD_GET_QUEUE_AFFINITY();

    private RawQueue queue;

    /** A device that is served and started. */
    private int live() {
        int id = add(1, DEPTH);
        queue = queue(open(id), 0, DEPTH);
        start(id, queue, DEPTH);
        return id;
    }

    private static Errno errnoOf(ThrowingCallable call) {
        KernelException refusal = catchThrowableOfType(KernelException.class, call);
        assertThat(refusal).as("refusal").isNotNull();
        return refusal.errno();
    }

    // ------------------------------------------------------------------------------------------- ADD_DEV

    private Errno refusedInfo(Consumer<MemorySegment> change) {
        MemorySegment info = control.info(RawControl.AUTOMATIC, 1, DEPTH);
        change.accept(info);
        return errnoOf(control.send(ADD, ublksrv_ctrl_dev_info.dev_id(info), info));
    }

    @Test
    void anImpossibleDepthIsRefused() {
        assertThat(refusedInfo(info -> ublksrv_ctrl_dev_info.queue_depth(info, (short) 0))).isEqualTo(Errno.EINVAL);
        assertThat(refusedInfo(info -> ublksrv_ctrl_dev_info.queue_depth(info, (short) 1))).as("of a batch device").isEqualTo(Errno.EINVAL);
        assertThat(refusedInfo(info -> ublksrv_ctrl_dev_info.queue_depth(info, (short) 4097))).isEqualTo(Errno.EINVAL);
    }

    @Test
    void anImpossibleNumberOfQueuesIsRefused() {
        assertThat(refusedInfo(info -> ublksrv_ctrl_dev_info.nr_hw_queues(info, (short) 0))).isEqualTo(Errno.EINVAL);
        assertThat(refusedInfo(info -> ublksrv_ctrl_dev_info.nr_hw_queues(info, (short) 4097))).isEqualTo(Errno.EINVAL);
    }

    @Test
    void anImpossibleNumberOfTheDeviceIsRefused() {
        assertThat(refusedInfo(info -> ublksrv_ctrl_dev_info.dev_id(info, 1 << 20))).isEqualTo(Errno.EINVAL);
        assertThat(refusedInfo(info -> ublksrv_ctrl_dev_info.dev_id(info, -2))).isEqualTo(Errno.EINVAL);
    }

    @Test
    void theNumberIsSaidTwiceAndMustBeTheSame() {
        assertThat(errnoOf(control.send(ADD, 7, control.info(RawControl.AUTOMATIC, 1, DEPTH)))).isEqualTo(Errno.EINVAL);
        assertThat(errnoOf(control.send(ADD, RawControl.AUTOMATIC, control.info(7, 1, DEPTH)))).isEqualTo(Errno.EINVAL);
    }

    @Test
    void addingIsForNoQueue() {
        MemorySegment info = control.info(RawControl.AUTOMATIC, 1, DEPTH);
        assertThat(errnoOf(control.send(ADD, header -> {
            ublksrv_ctrl_cmd.dev_id(header, RawControl.AUTOMATIC);
            ublksrv_ctrl_cmd.queue_id(header, (short) 0);
            ublksrv_ctrl_cmd.addr(header, info.address());
            ublksrv_ctrl_cmd.len(header, (short) RawControl.INFO_BYTES);
        }))).isEqualTo(Errno.EINVAL);
    }

    @Test
    void aNumberInUseIsRefused() {
        int id = add(1, DEPTH);
        assertThat(errnoOf(control.send(ADD, id, control.info(id, 1, DEPTH)))).isEqualTo(Errno.EEXIST);
    }

    @Test
    void memoryThatIsTooShortOrNotThereIsRefused() {
        MemorySegment info = control.info(RawControl.AUTOMATIC, 1, DEPTH);
        assertThat(errnoOf(control.send(ADD, RawControl.AUTOMATIC, 0, info, RawControl.INFO_BYTES - 1))).isEqualTo(Errno.EINVAL);
        assertThat(errnoOf(control.send(ADD, RawControl.AUTOMATIC, 0, MemorySegment.NULL, RawControl.INFO_BYTES))).isEqualTo(Errno.EINVAL);
        assertThat(errnoOf(control.send(ADD, RawControl.AUTOMATIC, 0, MemorySegment.ofAddress(NOWHERE), RawControl.INFO_BYTES)))
                .isEqualTo(Errno.EFAULT);
    }

    @Test
    void queuesAreClippedToTheCpusAndLengthsToPages() {
        MemorySegment info = control.info(RawControl.AUTOMATIC, 4096, DEPTH);
        ublksrv_ctrl_dev_info.max_io_buf_bytes(info, MAX_IO + 123);
        assertThat(resultOf(control.send(ADD, RawControl.AUTOMATIC, info))).isZero();
        int id = ublksrv_ctrl_dev_info.dev_id(info);
        assertThat(Short.toUnsignedInt(ublksrv_ctrl_dev_info.nr_hw_queues(info))).isBetween(1, 4095);
        assertThat(ublksrv_ctrl_dev_info.max_io_buf_bytes(info)).isEqualTo(MAX_IO);
        assertThat(resultOf(control.send(DELETE, id))).isZero();
    }

    @Test
    void flagsThatNobodyKnowsAreDroppedInSilence() {
        MemorySegment info = control.info(RawControl.AUTOMATIC, 1, DEPTH);
        ublksrv_ctrl_dev_info.flags(info, ublksrv_ctrl_dev_info.flags(info) | 1L << 60);
        assertThat(resultOf(control.send(ADD, RawControl.AUTOMATIC, info))).isZero();
        assertThat(ublksrv_ctrl_dev_info.flags(info) & (1L << 60 | ublk_cmd_h.UBLK_F_BATCH_IO())).isEqualTo(ublk_cmd_h.UBLK_F_BATCH_IO());
        assertThat(resultOf(control.send(DELETE, ublksrv_ctrl_dev_info.dev_id(info)))).isZero();
    }

    // ------------------------------------------------------------------------------------------- parameters

    private Errno refusedParams(int id, Consumer<MemorySegment> change) {
        MemorySegment params = control.params(MAX_IO);
        change.accept(params);
        return errnoOf(control.send(SET_PARAMS, id, params));
    }

    @Test
    void parametersThatMakeNoSenseAreRefused() {
        int id = add(1, DEPTH);
        assertThat(refusedParams(id, params -> ublk_params.len(params, 0))).as("length 0").isEqualTo(Errno.EINVAL);
        assertThat(refusedParams(id, params -> ublk_params.len(params, RawControl.PARAMS_BYTES + 1))).as("longer than the memory").isEqualTo(Errno.EINVAL);
        assertThat(refusedParams(id, params -> ublk_params.types(params, 0))).as("none").isEqualTo(Errno.EINVAL);
        assertThat(refusedParams(id, params -> ublk_params.types(params, ublk_cmd_h.UBLK_PARAM_TYPE_DISCARD()))).as("not basic").isEqualTo(Errno.EINVAL);
        assertThat(refusedParams(id, params -> ublk_params.types(params, 1 | ublk_cmd_h.UBLK_PARAM_TYPE_DEVT()))).as("read-only").isEqualTo(Errno.EINVAL);
        assertThat(refusedParams(id, params -> ublk_param_basic.logical_bs_shift(ublk_params.basic(params), (byte) 8))).isEqualTo(Errno.EINVAL);
        assertThat(refusedParams(id, params -> ublk_param_basic.logical_bs_shift(ublk_params.basic(params), (byte) 13))).isEqualTo(Errno.EINVAL);
        assertThat(refusedParams(id, params -> ublk_param_basic.max_sectors(ublk_params.basic(params), 7))).isEqualTo(Errno.EINVAL);
        assertThat(refusedParams(id, params -> ublk_param_basic.max_sectors(ublk_params.basic(params), MAX_IO / 512 + 1))).isEqualTo(Errno.EINVAL);
    }

    @Test
    void aDeviceWhoseParametersWereRefusedDoesNotStart() {
        int id = add(1, DEPTH);
        queue = queue(open(id), 0, DEPTH);
        refusedParams(id, params -> ublk_params.types(params, ublk_cmd_h.UBLK_PARAM_TYPE_DISCARD()));
        assertThat(resultOf(queue.prepare(queue.allTags()))).isZero();
        assertThat(errnoOf(control.send(START, id, PID))).isEqualTo(Errno.EINVAL);
    }

    @Test
    void typesThatNobodyKnowsAreDroppedInSilence() {
        int id = add(1, DEPTH);
        MemorySegment params = control.params(MAX_IO);
        ublk_params.types(params, ublk_params.types(params) | 1 << 30);
        assertThat(resultOf(control.send(SET_PARAMS, id, params))).isZero();
    }

    @Test
    void parametersAreReadBackWithTheNumbersOfTheDevices() {
        int id = add(1, DEPTH);
        MemorySegment params = control.memory(RawControl.PARAMS_BYTES);
        ublk_params.len(params, RawControl.PARAMS_BYTES);
        assertThat(resultOf(control.send(GET_PARAMS, id, params))).isZero();
        assertThat(ublk_params.types(params)).isEqualTo(ublk_cmd_h.UBLK_PARAM_TYPE_BASIC() | ublk_cmd_h.UBLK_PARAM_TYPE_DISCARD()
                | ublk_cmd_h.UBLK_PARAM_TYPE_DEVT());
        assertThat(ublk_params.basic(params).mismatch(ublk_params.basic(control.params(MAX_IO)))).isEqualTo(-1);
    }

    @Test
    void parametersAreReadInAsMuchMemoryAsThereIs() {
        int id = add(1, DEPTH);
        MemorySegment params = control.memory(RawControl.PARAMS_BYTES);
        assertThat(errnoOf(control.send(GET_PARAMS, id, params))).as("of length 0").isEqualTo(Errno.EINVAL);
        ublk_params.len(params, RawControl.PARAMS_BYTES);
        assertThat(errnoOf(control.send(GET_PARAMS, id, 0, params, RawControl.PARAMS_BYTES - 1))).as("more than there is").isEqualTo(Errno.EINVAL);
        ublk_params.len(params, 8);
        assertThat(errnoOf(control.send(GET_PARAMS, id, 0, params, 8))).as("no more than the header").isEqualTo(Errno.EINVAL);
    }

    @Test
    void parametersAreSetBeforeTheStart() {
        int id = live();
        assertThat(errnoOf(control.send(SET_PARAMS, id, control.params(MAX_IO)))).isEqualTo(Errno.EACCES);
        assertThat(resultOf(control.send(STOP, id))).isZero();
        awaitSuccess(() -> control.send(SET_PARAMS, id, control.params(MAX_IO)), Errno.EACCES);
    }

    // ------------------------------------------------------------------------------------------- START_DEV

    @Test
    void aStartWaitsForAllTagsOfAllQueues() {
        int id = add(2, DEPTH);
        int fd = open(id);
        RawQueue first = queue(fd, 0, DEPTH);
        RawQueue second = queue(fd, 1, DEPTH);
        Answer started = control.send(START, id, PID);
        assertThat(resultOf(first.prepare(first.allTags()))).isZero();
        assertThat(resultOf(second.prepare(second.tags(1, DEPTH)))).isZero();
        settle();
        assertThat(started.isThere()).isFalse();
        assertThat(state(id)).isEqualTo(ublk_cmd_h.UBLK_S_DEV_DEAD());
        assertThat(resultOf(second.prepare(second.element(0, 0)))).isZero();
        assertThat(resultOf(started)).isZero();
        assertThat(state(id)).isEqualTo(ublk_cmd_h.UBLK_S_DEV_LIVE());
    }

    @Test
    void aDeviceThatIsStartedIsNotStartedAgain() {
        int id = live();
        assertThat(errnoOf(control.send(START, id, PID))).isEqualTo(Errno.EEXIST);
    }

    /** A trap: its tags are still prepared, so the disk appears, but nobody can fetch what is asked of it. */
    @Test
    void aDeviceThatWasStoppedIsStartedAgainOnceItsDiskIsClosed() {
        int id = live();
        Disk disk = disk(id);
        CompletableFuture<byte[]> read = disk.read(QUIET, BLOCK);
        awaitDelivered(queue, 1);
        answerAll(queue, 1);
        get(read);
        assertThat(resultOf(control.send(STOP, id))).isZero();
        assertThat(errnoOf(control.send(START, id, PID))).as("an application has the old disk open").isEqualTo(Errno.EEXIST);
        assertThat(errnoOf(control.send(SET_PARAMS, id, control.params(MAX_IO)))).isEqualTo(Errno.EACCES);
        disk.close();
        awaitSuccess(() -> control.send(START, id, PID), Errno.EEXIST);
        assertThat(state(id)).isEqualTo(ublk_cmd_h.UBLK_S_DEV_LIVE());
        assertThat(errnoOf(queue.fetch())).isEqualTo(Errno.ENODEV);
    }

    /** Again and again, because a file is closed a moment later than its descriptor. */
    private void awaitSuccess(Supplier<Answer> command, Errno until) {
        Answer[] last = {command.get()};
        await(() -> {
            if (!last[0].isThere()) return false;
            if (last[0].result() == 0) return true;
            assertThat(last[0].errno()).isEqualTo(until);
            last[0] = command.get();
            return false;
        });
    }

    @Test
    void ofTwoStartsThatWaitOneIsRefused() {
        int id = add(1, DEPTH);
        queue = queue(open(id), 0, DEPTH);
        Answer one = control.send(START, id, PID);
        Answer other = control.send(START, id, PID);
        settle();
        assertThat(resultOf(queue.prepare(queue.allTags()))).isZero();
        assertThat(List.of(resultOf(one), resultOf(other))).containsExactlyInAnyOrder(0, Errno.EEXIST.result());
    }

    @Test
    void aDeviceIsStartedForTheProcessThatHasItOpen() {
        int id = add(1, DEPTH);
        queue = queue(open(id), 0, DEPTH);
        assertThat(errnoOf(control.send(START, id, 0))).as("no process").isEqualTo(Errno.EINVAL);
        assertThat(resultOf(queue.prepare(queue.allTags()))).isZero();
        assertThat(errnoOf(control.send(START, id, 1))).as("another process").isEqualTo(Errno.EINVAL);
        assertThat(resultOf(control.send(START, id, PID))).isZero();
    }

    @Test
    void aDeviceWithoutParametersDoesNotStart() {
        MemorySegment info = control.info(RawControl.AUTOMATIC, 1, DEPTH);
        assertThat(resultOf(control.send(ADD, RawControl.AUTOMATIC, info))).isZero();
        int id = ublksrv_ctrl_dev_info.dev_id(info);
        assertThat(errnoOf(control.send(START, id, PID))).isEqualTo(Errno.EINVAL);
        assertThat(resultOf(control.send(DELETE, id))).isZero();
    }

    @Test
    void theInfoTellsWhetherTheDeviceIsServedAndByWhom() {
        int id = add(1, DEPTH);
        assertThat(ublksrv_ctrl_dev_info.ublksrv_pid(info(id))).isEqualTo(-1);
        queue = queue(open(id), 0, DEPTH);
        start(id, queue, DEPTH);
        assertThat(ublksrv_ctrl_dev_info.ublksrv_pid(info(id))).isEqualTo((int) PID);
        assertThat(state(id)).isEqualTo(ublk_cmd_h.UBLK_S_DEV_LIVE());
        assertThat(resultOf(control.send(STOP, id))).isZero();
        assertThat(ublksrv_ctrl_dev_info.ublksrv_pid(info(id))).isEqualTo(-1);
        assertThat(state(id)).isEqualTo(ublk_cmd_h.UBLK_S_DEV_DEAD());
    }

    // ------------------------------------------------------------------------------------------- STOP_DEV, TRY_STOP_DEV

    @Test
    void stoppingWhatIsNotStartedIsNoError() {
        int id = add(1, DEPTH);
        assertThat(resultOf(control.send(STOP, id))).isZero();
        assertThat(resultOf(control.send(STOP, id))).isZero();
    }

    @Test
    void aStopWaitsForTheRequests() {
        int id = live();
        CompletableFuture<byte[]> read = disk(id).read(QUIET, BLOCK);
        awaitDelivered(queue, 1);
        Answer stopped = control.send(STOP, id);
        settle();
        assertThat(stopped.isThere()).isFalse();
        answerAll(queue, 1);
        assertThat(get(read)).isEqualTo(filled(BLOCK, 1));
        assertThat(resultOf(stopped)).isZero();
    }

    @Test
    void tryingToStopIsRefusedWhileAnApplicationHasTheDiskOpen() {
        int id = live();
        Disk disk = disk(id);
        CompletableFuture<byte[]> read = disk.read(QUIET, BLOCK);
        awaitDelivered(queue, 1);
        assertThat(errnoOf(control.send(TRY_STOP, id))).as("an application has it open").isEqualTo(Errno.EBUSY);
        answerAll(queue, 1);
        get(read);
        assertThat(state(id)).isEqualTo(ublk_cmd_h.UBLK_S_DEV_LIVE());
        disk.close();
        awaitSuccess(() -> control.send(TRY_STOP, id), Errno.EBUSY);
        assertThat(state(id)).isEqualTo(ublk_cmd_h.UBLK_S_DEV_DEAD());
    }

    @Test
    void whereNoDiskIsNoneCanBeTriedToStop() {
        int id = add(1, DEPTH);
        assertThat(errnoOf(control.send(TRY_STOP, id))).isEqualTo(Errno.ENODEV);
    }

    // ------------------------------------------------------------------------------------------- DEL_DEV

    @Test
    void deletingWaitsForWhoHasItOpen() {
        int id = add(1, DEPTH);
        int fd = open(id);
        Answer deleted = control.send(DELETE, id);
        await(() -> !kernel().list("/dev").contains("ublkc" + id));
        settle();
        assertThat(deleted.isThere()).isFalse();
        assertThat(errnoOf(() -> kernel().open(charDevice(id), linux_h.O_RDWR(), 0))).as("its name is gone").isEqualTo(Errno.ENOENT);
        close(fd);
        assertThat(resultOf(deleted)).isZero();
        assertThat(errnoOf(control.send(STOP, id))).isEqualTo(Errno.ENODEV);
    }

    @Test
    void deletingWaitsForWhoHasItMapped() {
        int id = add(1, DEPTH);
        int fd = open(id);
        queue = queue(fd, 0, DEPTH);
        close(fd);
        Answer deleted = control.send(DELETE, id);
        settle();
        assertThat(deleted.isThere()).isFalse();
        unmap();
        assertThat(resultOf(deleted)).isZero();
    }

    @Test
    void deletingMayLeaveTheRestToTime() {
        int id = add(1, DEPTH);
        int fd = open(id);
        assertThat(resultOf(control.send(DELETE_ASYNC, id))).isZero();
        assertThat(errnoOf(() -> kernel().open(charDevice(id), linux_h.O_RDWR(), 0))).isEqualTo(Errno.ENOENT);
        assertThat(resultOf(control.send(STOP, id))).as("it is still there").isZero();
        close(fd);
        await(() -> {
            Answer gone = control.send(STOP, id);
            turn();
            await(gone::isThere);
            return gone.result() == Errno.ENODEV.result();
        });
    }

    @Test
    void deletingStopsADeviceThatIsServed() {
        int id = live();
        Answer deleted = control.send(DELETE, id);
        settle();
        assertThat(errnoOf(queue.fetch())).isEqualTo(Errno.ENODEV);
        close(queue.ring());
        closeAll();
        assertThat(resultOf(deleted)).isZero();
    }

    // ------------------------------------------------------------------------------------------- UPDATE_SIZE

    @Test
    void aDiskThatIsServedChangesItsSize() {
        int id = live();
        Disk disk = disk(id);
        assertThat(resultOf(control.send(UPDATE_SIZE, id, (QUIET + BLOCK) / 512))).isZero();
        CompletableFuture<byte[]> read = disk.read(QUIET, BLOCK);
        awaitDelivered(queue, 1);
        answerAll(queue, 1);
        get(read);
        assertThatThrownBy(() -> get(disk.write(QUIET + BLOCK, filled(BLOCK, 1)))).as("behind the end").isInstanceOf(Disk.Failure.class);
    }

    @Test
    void whereNoDiskIsNoneChangesItsSize() {
        int id = add(1, DEPTH);
        assertThat(errnoOf(control.send(UPDATE_SIZE, id, 1024))).isEqualTo(Errno.ENODEV);
    }

    // ------------------------------------------------------------------------------------------- what else may be asked

    @Test
    void nothingCanBeAskedOfADeviceThatIsNotThere() {
        MemorySegment buffer = control.memory(4096);
        for (long command : new long[] {GET_INFO, GET_PARAMS, SET_PARAMS, START, STOP, TRY_STOP, DELETE, DELETE_ASYNC, UPDATE_SIZE, AFFINITY}) {
            assertThat(errnoOf(control.send(command, NOBODY, buffer))).as("command 0x%x", command).isEqualTo(Errno.ENODEV);
            assertThat(errnoOf(control.send(command, -1, buffer))).as("command 0x%x", command).isEqualTo(Errno.ENODEV);
        }
    }

    @Test
    void aCommandThatNobodyKnowsIsRefused() {
        int id = add(1, DEPTH);
        long unknown = (STOP & ~0xff) | 0x7f;
        assertThat(errnoOf(control.send(unknown, id))).isEqualTo(Errno.EOPNOTSUPP);
        assertThat(errnoOf(control.send(unknown, NOBODY))).as("nor the device").isEqualTo(Errno.ENODEV);
    }

    @Test
    void theInfoNeedsRoom() {
        int id = add(1, DEPTH);
        MemorySegment info = control.memory(RawControl.INFO_BYTES);
        assertThat(errnoOf(control.send(GET_INFO, id, 0, info, RawControl.INFO_BYTES - 1))).isEqualTo(Errno.EINVAL);
        assertThat(errnoOf(control.send(GET_INFO, id, 0, MemorySegment.NULL, RawControl.INFO_BYTES))).isEqualTo(Errno.EINVAL);
    }

    @Test
    void theFeaturesNeedEightBytes() {
        long features = ublk_cmd_h.UBLK_U_CMD_GET_FEATURES();
        MemorySegment buffer = control.memory(16);
        assertThat(resultOf(control.send(features, 0, 0, buffer, 8))).isZero();
        assertThat(buffer.get(JAVA_LONG, 0) & ublk_cmd_h.UBLK_F_BATCH_IO()).isNotZero();
        assertThat(errnoOf(control.send(features, 0, 0, buffer, 4))).isEqualTo(Errno.EINVAL);
        assertThat(errnoOf(control.send(features, 0, 0, buffer, 16))).isEqualTo(Errno.EINVAL);
    }

    @Test
    void theQueuesShareTheCpusAmongThem() {
        int id = add(2, DEPTH);
        BitSet all = new BitSet();
        int count = 0;
        for (int number = 0; number < 2; number++) {
            MemorySegment mask = control.memory(1024);
            mask.fill((byte) 0xff);
            assertThat(resultOf(control.send(AFFINITY, id, number, mask, 1024))).isZero();
            BitSet cpus = BitSet.valueOf(mask.toArray(JAVA_BYTE));
            assertThat(cpus.isEmpty()).isFalse();
            count += cpus.cardinality();
            all.or(cpus);
        }
        assertThat(all.cardinality()).as("no CPU has two queues").isEqualTo(count);
    }

    @Test
    void theCpusOfAQueueNeedWholeWordsAndRoomForAll() {
        int id = add(2, DEPTH);
        MemorySegment mask = control.memory(1024);
        assertThat(errnoOf(control.send(AFFINITY, id, 2, mask, 1024))).as("no such queue").isEqualTo(Errno.EINVAL);
        assertThat(errnoOf(control.send(AFFINITY, id, -1, mask, 1024))).as("no such queue").isEqualTo(Errno.EINVAL);
        assertThat(errnoOf(control.send(AFFINITY, id, 0, mask, 1020))).as("no whole words").isEqualTo(Errno.EINVAL);
        assertThat(errnoOf(control.send(AFFINITY, id, 0, mask, 0))).as("no room").isEqualTo(Errno.EINVAL);
        assertThat(errnoOf(control.send(AFFINITY, id, 0, MemorySegment.NULL, 1024))).as("no memory").isEqualTo(Errno.EINVAL);
    }

    @Test
    void aSmallEntryHasNoRoomForACommand() {
        RawControl small = new RawControl(kernel(), ring(new RingConfig(8, 16, false)), arena);
        try {
            assertThat(errnoOf(small.send(ublk_cmd_h.UBLK_U_CMD_GET_FEATURES(), header -> {}, 16))).isEqualTo(Errno.EINVAL);
            assertThat(errnoOf(small.send(STOP, header -> {}, 16))).isEqualTo(Errno.EINVAL);
        } finally {
            small.close();
        }
    }

    // ------------------------------------------------------------------------------------------- /dev/ublkcN

    @Test
    void oneProcessMayHaveTheDeviceOpen() {
        int id = add(1, DEPTH);
        int fd = open(id);
        assertThat(errnoOf(() -> open(id))).isEqualTo(Errno.EBUSY);
        close(fd);
        reopen(id);
    }

    @Test
    void descriptorsAreMappedQueueByQueue() {
        int id = add(2, DEPTH);
        int fd = open(id);
        long stride = 98304;
        for (long offset : new long[] {0, stride}) map(fd, offset, 4096);
        assertThat(errnoOf(() -> map(fd, 2 * stride, 4096))).as("no such queue").isEqualTo(Errno.EINVAL);
        assertThat(errnoOf(() -> map(fd, 0, 8192))).as("longer than the depth").isEqualTo(Errno.EINVAL);
        assertThat(errnoOf(() -> map(fd, stride, 8192))).as("longer than the depth").isEqualTo(Errno.EINVAL);
    }

    private void map(int fd, long offset, long length) {
        try (Arena mapped = Arena.ofShared()) {
            kernel().mmap(fd, offset, length, linux_h.PROT_READ(), linux_h.MAP_SHARED(), mapped);
        }
    }
}
