package io.reactorublk.uring.abi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.lang.foreign.MemoryLayout;
import java.lang.foreign.StructLayout;
import java.lang.reflect.Field;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class AbiTest {

    private static final String[] INCLUDES = {
        "linux/io_uring.h",
        "linux/errno.h",
        Path.of("src/main/jextract/linux_all.h").toAbsolutePath().toString(),
    };

    @Test
    void isWhatTheHeadersSay() {
        List<Class<?>> generated = AbiAgainstC.classesBeside(io_uring_h.class);
        assertThat(generated)
                .contains(errno_h.class, linux_h.class, io_uring_sqe.class, statx.class)
                .doesNotContain(AbiTest.class);

        AbiAgainstC.Checked checked = AbiAgainstC.check(generated, INCLUDES);

        assertThat(checked.structs()).isGreaterThanOrEqualTo(17);
        assertThat(checked.fields()).isGreaterThan(160);
        assertThat(checked.constants()).isGreaterThan(390);
    }

    /** Where it is 32 bits long, a class that took it for 64 could not be loaded; the kernel in memory is for any machine. */
    @Test
    void dependsNotOnHowLongALongIs() {
        assertThat(abi_shared.class.getFields()).extracting(Field::getName).contains("C_LONG_LONG").doesNotContain("C_LONG");
    }

    @ParameterizedTest
    @ValueSource(classes = {WrongValue.class, WrongWidth.class, WrongSize.class, WrongOffset.class})
    void noticesALie(Class<?> lie) throws ReflectiveOperationException {
        String found = (String) lie.getDeclaredField("FOUND").get(null);

        assertThatExceptionOfType(AssertionError.class)
                .isThrownBy(() -> AbiAgainstC.check(List.of(lie), INCLUDES))
                .withMessageContaining('"' + found + '"');
    }

    static final class WrongValue {
        static final String FOUND = "value of IORING_OP_READ";

        public static int IORING_OP_READ() {
            return io_uring_h.IORING_OP_READ() + 1;
        }
    }

    static final class WrongWidth {
        static final String FOUND = "width of IORING_OP_READ";

        public static long IORING_OP_READ() {
            return io_uring_h.IORING_OP_READ();
        }
    }

    static final class WrongSize {
        static final String FOUND = "size of io_uring_cqe";

        public static StructLayout layout() {
            return MemoryLayout.structLayout(
                            io_uring_cqe.layout(), MemoryLayout.paddingLayout(Long.BYTES))
                    .withName("io_uring_cqe");
        }
    }

    static final class WrongOffset {
        static final String FOUND = "offset of io_uring_cqe.res";

        public static MemoryLayout layout() {
            return io_uring_cqe.layout();
        }

        public static MemoryLayout res$layout() {
            return io_uring_cqe.res$layout();
        }

        public static long res$offset() {
            return io_uring_cqe.flags$offset();
        }
    }
}
