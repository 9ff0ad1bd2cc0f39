package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.time.Duration;

/** Applications: write at random places of a device and read back what they wrote, until they are told to end. */
public final class FioLoad implements AutoCloseable {

    /** Fields of fio's terse output, version 3. */
    private static final int ERROR = 4;
    private static final int READ_KIB = 5;
    private static final int WRITTEN_KIB = 46;
    private static final int LONGEST_WRITE_MICROS = 79;

    private final Process fio;

    /** Not more of them than leave an emulated machine time to start a JVM. */
    public FioLoad(Path device, long bytes) {
        fio = Shell.start("fio", "--name=load", "--filename=" + device, "--rw=randwrite", "--bs=4k", "--size=" + bytes, "--iodepth=16",
                "--ioengine=libaio", "--direct=1", "--thread", "--rate_iops=100", "--time_based", "--runtime=3600", "--verify=crc32c",
                "--verify_fatal=1", "--verify_backlog=16", "--minimal");
    }

    /** It goes on, and each operation of it will end. */
    public boolean goesOn() {
        return fio.isAlive();
    }

    /** Ends it. Returns how long a write of its took, at most. */
    public Duration assertVerified() {
        assertThat(goesOn()).as("fio goes on").isTrue();
        fio.toHandle().destroy();                                      // ends its turn and tells; Process.destroy would not listen
        String output = Shell.end(fio).output();
        String[] fields = output.lines().filter(line -> line.startsWith("3;")).findFirst()
                .orElseThrow(() -> new AssertionError("fio told nothing: " + output)).split(";", -1);
        assertThat(fields[ERROR]).as(output).isEqualTo("0");
        assertThat(Long.parseLong(fields[WRITTEN_KIB])).as("KiB written").isPositive();
        assertThat(Long.parseLong(fields[READ_KIB])).as("KiB read back").isPositive();
        return Duration.ofNanos((long) (1000 * Double.parseDouble(fields[LONGEST_WRITE_MICROS])));
    }

    @Override
    public void close() {
        fio.destroyForcibly();
    }
}
