package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.assertThatNullPointerException;

import java.time.Duration;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import reactor.core.publisher.Flux;

/** What can never work is refused where it is said, with the value, the limit and what to do. */
class UblkServerTest {

    private static final UblkServer SERVER = UblkServer.create();

    interface Setting {
        UblkServer of(UblkServer server);
    }

    private static Arguments refused(String message, Setting setting) {
        return Arguments.of(message, setting);
    }

    static Stream<Arguments> refusals() {
        return Stream.of(
                refused("a device of 0 bytes: it must hold at least one block", s -> s.size(0)),
                refused("a device of -4096 bytes: it must hold at least one block", s -> s.size(-4096)),
                refused("a device of 1000 bytes is no whole number of blocks of 512 bytes; the next smaller size is 512",
                        s -> s.size(1000)),
                refused("a device of 4608 bytes is no whole number of blocks of 4096 bytes; the next smaller size is 4096",
                        s -> s.blockSize(4096).size(4608)),
                refused("a device of 4608 bytes is no whole number of blocks of 4096 bytes; the next smaller size is 4096",
                        s -> s.size(4608).blockSize(4096)),
                refused("a logical block of 256 bytes: 512, 1024, 2048 and 4096 are possible", s -> s.blockSize(256)),
                refused("a logical block of 1000 bytes: 512, 1024, 2048 and 4096 are possible", s -> s.blockSize(1000)),
                refused("a logical block of 8192 bytes: 512, 1024, 2048 and 4096 are possible", s -> s.blockSize(8192)),
                refused("a physical block of 3000 bytes: powers of two from 512 to 268435456 are possible",
                        s -> s.physicalBlockSize(3000)),
                refused("a physical block of 512 bytes is smaller than a logical one of 4096; "
                        + "set the physical block size first",
                        s -> s.blockSize(4096).physicalBlockSize(512)),
                refused("0 queues: from 1 to 4096 are possible, and no more than CPUs", s -> s.queues(0)),
                refused("4097 queues: from 1 to 4096 are possible, and no more than CPUs", s -> s.queues(4097)),
                refused("0 loops: at least 1 must serve the queues", s -> s.loops(0)),
                refused("a queue depth of 0: from 2 to 4096 is possible; "
                        + "for one request at a time serve with answer(1, handler)",
                        s -> s.queueDepth(0)),
                refused("a queue depth of 1: from 2 to 4096 is possible; "
                        + "for one request at a time serve with answer(1, handler)",
                        s -> s.queueDepth(1)),
                refused("a queue depth of 4097: from 2 to 4096 is possible; "
                        + "for one request at a time serve with answer(1, handler)",
                        s -> s.queueDepth(4097)),
                refused("requests of up to 0 bytes: whole pages (4096 bytes) up to 33554432 are possible",
                        s -> s.maxIoBytes(0)),
                refused("requests of up to 5000 bytes: whole pages (4096 bytes) up to 33554432 are possible",
                        s -> s.maxIoBytes(5000)),
                refused("requests of up to 67108864 bytes: whole pages (4096 bytes) up to 33554432 are possible",
                        s -> s.maxIoBytes(64 << 20)),
                refused("DISCARD of up to -1 bytes: multiples of 512 up to 2199023255040 are possible, 0 for none",
                        s -> s.maxDiscardBytes(-1)),
                refused("DISCARD of up to 700 bytes: multiples of 512 up to 2199023255040 are possible, 0 for none",
                        s -> s.maxDiscardBytes(700)),
                refused("WRITE_ZEROES of up to 4398046511104 bytes: "
                        + "multiples of 512 up to 2199023255040 are possible, 0 for none",
                        s -> s.maxWriteZeroesBytes(4L << 40)),
                refused("a discard granularity of 3000 bytes: powers of two from the logical block (512) on are possible",
                        s -> s.discardGranularity(3000)),
                refused("a discard granularity of 512 bytes: powers of two from the logical block (4096) on are possible",
                        s -> s.blockSize(4096).discardGranularity(512)),
                refused("an unprivileged device has DataMode.COPY only, not ZERO_COPY: "
                        + "the driver lets nobody but root near the pages of others",
                        s -> s.dataMode(DataMode.ZERO_COPY).unprivileged()),
                refused("an unprivileged device has Recovery.NONE only, not HOLD: "
                        + "what waits for a server that never comes would hang the machine",
                        s -> s.unprivileged().recovery(Recovery.HOLD)),
                refused("device number -1: from 0 to 1048575 are possible", s -> s.id(-1)),
                refused("device number 1048576: from 0 to 1048575 are possible", s -> s.id(1 << 20)),
                refused("a grace of PT-1S: it cannot be negative", s -> s.stopGrace(Duration.ofSeconds(-1))),
                refused("a deadline of PT0S: it must be positive", s -> s.controlDeadline(Duration.ZERO)));
    }

    @ParameterizedTest
    @MethodSource("refusals")
    void refusesWhatCannotWork(String message, Setting setting) {
        assertThatIllegalArgumentException().isThrownBy(() -> setting.of(SERVER)).withMessage(message);
    }

    static Stream<Setting> extremes() {
        return Stream.of(
                s -> s.size(512),
                s -> s.size(Long.MAX_VALUE / 4096 * 4096),
                s -> s.blockSize(4096).size(4096),
                s -> s.physicalBlockSize(512),
                s -> s.physicalBlockSize(1 << 28),
                s -> s.queues(1).queues(4096),
                s -> s.queueDepth(2).queueDepth(4096),
                s -> s.maxIoBytes(4096).maxIoBytes(32 << 20),
                s -> s.maxDiscardBytes(0).maxWriteZeroesBytes(0),
                s -> s.maxDiscardBytes(0xffff_ffffL * 512),
                s -> s.id(0).id((1 << 20) - 1),
                s -> s.stopGrace(Duration.ZERO));
    }

    @ParameterizedTest
    @MethodSource("extremes")
    void takesTheSmallestAndTheLargest(Setting setting) {
        assertThatCode(() -> setting.of(SERVER)).doesNotThrowAnyException();
    }

    @Test
    void aDiscardGranularityFollowsTheBlockSize() {
        assertThatCode(() -> SERVER.discardGranularity(512).blockSize(4096)).doesNotThrowAnyException();
    }

    @Test
    void isNotChangedByItsSetters() {
        UblkServer small = SERVER.size(4096);
        assertThat(small.size(8192)).isNotSameAs(small);
        assertThatIllegalArgumentException().as("4096 is still its size").isThrownBy(() -> small.size(1000));
        assertThatIllegalStateException().isThrownBy(() -> SERVER.start().block()).withMessageContaining("no size");
    }

    @Test
    void needsASize() {
        assertThatIllegalStateException().isThrownBy(() -> SERVER.serve(queue -> Flux.empty()).start().block())
                .withMessage("the device has no size; set one with size(bytes)");
    }

    @Test
    void needsATarget() {
        assertThatIllegalStateException().isThrownBy(() -> SERVER.size(4096).start().block())
                .withMessage("there is nothing to serve; set a target with serve(target)");
    }

    @Test
    void startsNothingBeforeSomebodySubscribes() {
        assertThatCode(SERVER::start).doesNotThrowAnyException();
    }

    @Test
    void takesNoNull() {
        assertThatNullPointerException().isThrownBy(() -> SERVER.serve(null));
        assertThatNullPointerException().isThrownBy(() -> SERVER.kernel(null));
        assertThatNullPointerException().isThrownBy(() -> SERVER.listener(null));
    }
}
