package io.reactorublk.abi;

import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.uring.abi.AbiAgainstC;
import java.lang.reflect.Field;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

class AbiTest {

    @Test
    void isWhatTheHeaderSays() {
        List<Class<?>> generated = AbiAgainstC.classesBeside(ublk_cmd_h.class);
        assertThat(generated).contains(ublksrv_io_desc.class).doesNotContain(AbiTest.class);

        AbiAgainstC.Checked checked = AbiAgainstC.check(
                generated, Path.of("src/main/jextract/ublk_cmd_all.h").toAbsolutePath().toString());

        assertThat(checked.structs()).isGreaterThanOrEqualTo(16);
        assertThat(checked.fields()).isGreaterThan(75);
        assertThat(checked.constants()).isGreaterThan(120);
    }

    /** Where it is 32 bits long, a class that took it for 64 could not be loaded; the kernel in memory is for any machine. */
    @Test
    void dependsNotOnHowLongALongIs() {
        assertThat(abi_shared.class.getFields()).extracting(Field::getName).contains("C_LONG_LONG").doesNotContain("C_LONG");
    }
}
