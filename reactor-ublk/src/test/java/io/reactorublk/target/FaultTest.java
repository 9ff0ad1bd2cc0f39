package io.reactorublk.target;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.reactorublk.Operation;
import io.reactorublk.uring.Errno;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Which requests a fault strikes. */
class FaultTest {

    private static final Fault FAULT = Fault.of(Errno.ENOSPC);

    @ParameterizedTest
    @EnumSource(Operation.class)
    void strikesEverythingIfNothingElseIsSaid(Operation operation) {
        assertThat(FAULT.errno()).isEqualTo(Errno.ENOSPC);
        assertThat(FAULT.course(0).strikes(operation, 0, operation == Operation.FLUSH ? 0 : 4096)).isTrue();
    }

    @ParameterizedTest
    @EnumSource(Operation.class)
    void strikesTheChosenOperationsOnly(Operation operation) {
        Fault fault = FAULT.on(Operation.WRITE, Operation.FLUSH);

        assertThat(fault.course(0).strikes(operation, 0, 4096))
                .isEqualTo(operation == Operation.WRITE || operation == Operation.FLUSH);
    }

    @Test
    void strikesWhateverTouchesTheBadSpot() {
        Fault.Course course = FAULT.within(8192, 4096).course(0);

        assertThat(course.strikes(Operation.READ, 4096, 4096)).as("ends before it").isFalse();
        assertThat(course.strikes(Operation.READ, 4096, 4097)).as("reaches into it").isTrue();
        assertThat(course.strikes(Operation.READ, 9000, 10)).as("within it").isTrue();
        assertThat(course.strikes(Operation.READ, 0, 1 << 20)).as("covers it").isTrue();
        assertThat(course.strikes(Operation.READ, 12287, 512)).as("begins in it").isTrue();
        assertThat(course.strikes(Operation.READ, 12288, 512)).as("begins after it").isFalse();
    }

    @Test
    void aFlushTouchesNoBadSpot() {
        assertThat(FAULT.within(0, 4096).course(0).strikes(Operation.FLUSH, 0, 0)).isFalse();
    }

    @Test
    void strikesTheSameRequestsInEachRun() {
        Fault fault = FAULT.randomly(0.3, 42);

        assertThat(struck(fault.course(0))).isEqualTo(struck(fault.course(0)));
        assertThat(struck(fault.course(0)).size()).isBetween(200, 400);
    }

    @Test
    void otherSeedsAndOtherQueuesThrowOtherDice() {
        assertThat(struck(FAULT.randomly(0.3, 42).course(0))).isNotEqualTo(struck(FAULT.randomly(0.3, 43).course(0)));
        assertThat(struck(FAULT.randomly(0.3, 42).course(0))).isNotEqualTo(struck(FAULT.randomly(0.3, 42).course(1)));
    }

    @Test
    void requestsThatItDoesNotConcernDoNotTouchTheDice() {
        Fault fault = FAULT.on(Operation.WRITE).randomly(0.3, 42);
        Fault.Course disturbed = fault.course(0);
        List<Integer> struck = IntStream.range(0, 1000).filter(i -> {
            assertThat(disturbed.strikes(Operation.READ, i, 1)).isFalse();
            return disturbed.strikes(Operation.WRITE, i, 1);
        }).boxed().toList();

        assertThat(struck).isEqualTo(struck(fault.course(0)));
    }

    @Test
    void neverAndAlwaysAreProbabilitiesToo() {
        assertThat(struck(FAULT.randomly(0, 1).course(0))).isEmpty();
        assertThat(struck(FAULT.randomly(1, 1).course(0))).hasSize(1000);
    }

    @Test
    void endsAfterTheFirstFew() {
        assertThat(struck(FAULT.first(3).course(0))).containsExactly(0, 1, 2);
        assertThat(struck(FAULT.randomly(0.3, 42).first(3).course(0)))
                .isEqualTo(struck(FAULT.randomly(0.3, 42).course(0)).subList(0, 3));
    }

    @ParameterizedTest
    @ValueSource(doubles = {-0.1, 1.1, Double.NaN})
    void refusesWhatIsNoProbability(double probability) {
        assertThatIllegalArgumentException().isThrownBy(() -> FAULT.randomly(probability, 1))
                .withMessage("a probability of " + probability + ": from 0 to 1 is possible");
    }

    @Test
    void refusesAnEmptyRangeAndNoFaults() {
        assertThatIllegalArgumentException().isThrownBy(() -> FAULT.within(0, 0)).withMessageContaining("0 bytes at 0");
        assertThatIllegalArgumentException().isThrownBy(() -> FAULT.within(-1, 1)).withMessageContaining("1 bytes at -1");
        assertThatIllegalArgumentException().isThrownBy(() -> FAULT.within(1, Long.MAX_VALUE));
        assertThatIllegalArgumentException().isThrownBy(() -> FAULT.first(0)).withMessageContaining("at least 1");
    }

    private static List<Integer> struck(Fault.Course course) {
        return IntStream.range(0, 1000).filter(i -> course.strikes(Operation.WRITE, i, 1)).boxed().toList();
    }
}
