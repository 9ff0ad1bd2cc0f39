package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.abi.ublk_cmd_h;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

class OperationTest {

    @Test
    void hasTheKernelsNumbers() {
        assertThat(Operation.of(ublk_cmd_h.UBLK_IO_OP_READ())).isEqualTo(Operation.READ);
        assertThat(Operation.of(ublk_cmd_h.UBLK_IO_OP_WRITE())).isEqualTo(Operation.WRITE);
        assertThat(Operation.of(ublk_cmd_h.UBLK_IO_OP_FLUSH())).isEqualTo(Operation.FLUSH);
        assertThat(Operation.of(ublk_cmd_h.UBLK_IO_OP_DISCARD())).isEqualTo(Operation.DISCARD);
        assertThat(Operation.of(ublk_cmd_h.UBLK_IO_OP_WRITE_ZEROES())).isEqualTo(Operation.WRITE_ZEROES);
    }

    @Test
    void anotherNumberIsNone() {
        assertThat(Operation.of(ublk_cmd_h.UBLK_IO_OP_ZONE_APPEND())).isNull();
        assertThat(Operation.of(31)).isNull();
        assertThat(Operation.of(0xff)).isNull();
    }

    @Test
    void bytesTravelWithTwo() {
        assertThat(Arrays.stream(Operation.values()).filter(Operation::hasData))
                .containsExactly(Operation.READ, Operation.WRITE);
    }
}
