package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.reactorublk.abi.ublk_cmd_h;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.KernelException;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.TimeoutException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** The rules of a request and of its completion. */
class BlockRequestTest {

    private static final int TAG = 5;
    private static final int LENGTH = 16384;

    private final BlockQueue queue = new FakeQueue(512);

    private BlockRequest request(Operation operation) {
        return request(operation, 0);
    }

    private BlockRequest request(Operation operation, int flags) {
        return new BlockRequest(queue, TAG, operation, flags, 8192, LENGTH);
    }

    @Test
    void knowsWhatItWasMadeOf() {
        BlockRequest request = request(Operation.WRITE);
        assertThat(request.queue()).isSameAs(queue);
        assertThat(request.tag()).isEqualTo(TAG);
        assertThat(request.operation()).isEqualTo(Operation.WRITE);
        assertThat(request.offset()).isEqualTo(8192);
        assertThat(request.length()).isEqualTo(LENGTH);
    }

    @Test
    void saysWhatItIs() {
        assertThat(request(Operation.WRITE)).hasToString("WRITE of 16384 bytes at 8192 (tag 5 of a fake queue)");
    }

    @Test
    void theOperationIsNoFlag() {
        BlockRequest request = request(Operation.WRITE, 0xff);
        assertThat(request.isFua() || request.isNoUnmap() || request.isFailFast() || request.isMeta()).isFalse();
    }

    @Test
    void fuaIsAFlag() {
        assertThat(request(Operation.WRITE, ublk_cmd_h.UBLK_IO_F_FUA()).isFua()).isTrue();
        assertThat(request(Operation.WRITE, ~ublk_cmd_h.UBLK_IO_F_FUA()).isFua()).isFalse();
    }

    @Test
    void noUnmapIsAFlag() {
        assertThat(request(Operation.WRITE_ZEROES, ublk_cmd_h.UBLK_IO_F_NOUNMAP()).isNoUnmap()).isTrue();
        assertThat(request(Operation.WRITE_ZEROES, ~ublk_cmd_h.UBLK_IO_F_NOUNMAP()).isNoUnmap()).isFalse();
    }

    @Test
    void metaIsAFlag() {
        assertThat(request(Operation.READ, ublk_cmd_h.UBLK_IO_F_META()).isMeta()).isTrue();
        assertThat(request(Operation.READ, ~ublk_cmd_h.UBLK_IO_F_META()).isMeta()).isFalse();
    }

    @Test
    void eachOfThreeFlagsIsFailFast() {
        assertThat(request(Operation.READ, ublk_cmd_h.UBLK_IO_F_FAILFAST_DEV()).isFailFast()).isTrue();
        assertThat(request(Operation.READ, ublk_cmd_h.UBLK_IO_F_FAILFAST_TRANSPORT()).isFailFast()).isTrue();
        assertThat(request(Operation.READ, ublk_cmd_h.UBLK_IO_F_FAILFAST_DRIVER()).isFailFast()).isTrue();
        assertThat(request(Operation.READ, ublk_cmd_h.UBLK_IO_F_META()).isFailFast()).isFalse();
    }

    @Test
    void itsBytesAreThoseOfItsTag() {
        BlockRequest request = request(Operation.WRITE);
        assertThat(request.data().byteSize()).isEqualTo(LENGTH);
        assertThat(request.data().get(ValueLayout.JAVA_BYTE, 0)).isEqualTo((byte) TAG);
        assertThat(request.buffer()).isSameAs(request.buffer());
    }

    @Test
    void theRoomOfAReadIsClearedOnce() {
        BlockRequest request = request(Operation.READ);
        assertThat(request.data().get(ValueLayout.JAVA_BYTE, 0)).isZero();
        request.data().set(ValueLayout.JAVA_BYTE, 0, (byte) 7);
        assertThat(request.data().get(ValueLayout.JAVA_BYTE, 0)).isEqualTo((byte) 7);
    }

    @ParameterizedTest
    @EnumSource(names = {"FLUSH", "DISCARD", "WRITE_ZEROES"})
    void someOperationsCarryNoBytes(Operation operation) {
        assertThatExceptionOfType(UnsupportedOperationException.class).isThrownBy(() -> request(operation).data())
                .withMessageContaining("carries no data");
    }

    @ParameterizedTest
    @CsvSource({"READ, 16384", "WRITE, 16384", "FLUSH, 0", "DISCARD, 0", "WRITE_ZEROES, 0"})
    void completingMeansAllOfIt(Operation operation, int result) {
        assertThat(request(operation).complete().result()).isEqualTo(result);
    }

    @ParameterizedTest
    @CsvSource({"16384, 16384", "16383, 15872", "512, 512", "1023, 512", "511, -5", "1, -5", "0, -5"})
    void aCountIsRoundedDownToWholeBlocksAndNothingIsEio(int bytes, int result) {
        assertThat(request(Operation.READ).complete(bytes).result()).isEqualTo(result);
        assertThat(request(Operation.WRITE).complete(bytes).result()).isEqualTo(result);
    }

    @Test
    void blocksAreTheDevices() {
        BlockRequest request = new BlockRequest(new FakeQueue(4096), TAG, Operation.WRITE, 0, 0, LENGTH);
        assertThat(request.complete(9000).result()).isEqualTo(8192);
        assertThat(request.complete(4095).result()).isEqualTo(Errno.EIO.result());
    }

    @Test
    void moreThanWasAskedForIsABreach() {
        assertThatIllegalStateException().isThrownBy(() -> request(Operation.READ).complete(LENGTH + 1))
                .withMessage("READ of 16384 bytes at 8192 (tag 5 of a fake queue) "
                        + "cannot complete with 16385 bytes: it asked for 16384");
    }

    @Test
    void lessThanNothingIsABreach() {
        assertThatIllegalStateException().isThrownBy(() -> request(Operation.READ).complete(-5))
                .withMessageContaining("see fail(Errno)");
    }

    @Test
    void aRecordMadeByHandIsMadeSafeToo() {
        assertThat(new Completion(request(Operation.WRITE), 0).result()).isEqualTo(Errno.EIO.result());
        assertThat(new Completion(request(Operation.WRITE), 700).result()).isEqualTo(512);
        assertThat(new Completion(request(Operation.FLUSH), 0).result()).isZero();
    }

    @Test
    void failingKeepsTheErrno() {
        assertThat(request(Operation.READ).fail(Errno.ENOSPC).result()).isEqualTo(Errno.ENOSPC.result());
    }

    @Test
    void everyFailureHasAnErrno() {
        BlockRequest request = request(Operation.READ);
        assertThat(request.fail(new KernelException("write", Errno.EROFS)).result()).isEqualTo(Errno.EROFS.result());
        assertThat(request.fail(new TimeoutException()).result()).isEqualTo(Errno.ETIMEDOUT.result());
        assertThat(request.fail(new UnsupportedOperationException()).result()).isEqualTo(Errno.EOPNOTSUPP.result());
        assertThat(request.fail(new NullPointerException()).result()).isEqualTo(Errno.EIO.result());
    }

    @Test
    void isAnEntity() {
        assertThat(request(Operation.READ)).isNotEqualTo(request(Operation.READ));
    }

    @Test
    void isAnsweredOnce() {
        BlockRequest request = request(Operation.READ);
        assertThat(request.answer(request.complete())).isTrue();
        assertThat(request.answer(request.complete())).isFalse();
        assertThat(request.lose()).isFalse();
        assertThat(request.isLost()).isFalse();
    }

    @Test
    void onceLostItIsNotAnswered() {
        BlockRequest request = request(Operation.READ);
        assertThat(request.lose()).isTrue();
        assertThat(request.answer(request.complete())).isFalse();
        assertThat(request.isLost()).isTrue();
    }
}
