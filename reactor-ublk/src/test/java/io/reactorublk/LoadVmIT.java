package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.target.RamTarget;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

/** Servers end while applications work hard. */
class LoadVmIT extends LinuxDeviceTest {

    private static final long DEVICE_BYTES = ServerProcess.DEVICE_BYTES;
    private static final int BUSY = 1000;

    @Test
    void aDeviceIsStoppedUnderLoad() {
        AtomicLong completed = new AtomicLong();
        try (RamTarget ram = new RamTarget(DEVICE_BYTES)) {
            UblkDevice device =
                    start(UblkServer.create().size(DEVICE_BYTES).queues(2).serve(ram).listener(new QueueListener() {
                @Override
                public void onCompleted(BlockRequest request, int result, long nanos) {
                    completed.incrementAndGet();
                }
            }));
            Process fio = Shell.start(load(device.path()));
            linux.await(() -> completed.get() > BUSY);
            stop(device);
            assertFailed(Shell.end(fio));
            assertThat(device.path()).doesNotExist();
        }
        assertNothingIsLeft();
    }

    @Test
    void aServerIsKilledUnderLoadAndAnotherTakesItsPlace() throws InterruptedException {
        int dead;
        Process server = ServerProcess.start(new String[0], "any", 32);
        try {
            Path path = ServerProcess.served(server);
            Process fio = Shell.start(load(path));
            linux.await(() -> linux.completed(path) > BUSY);
            server.destroyForcibly();
            assertThat(server.waitFor(60, TimeUnit.SECONDS)).as("killed").isTrue();
            assertFailed(Shell.end(fio));
            linux.await(() -> !Files.exists(path));
            dead = Integer.parseInt(path.toString().replaceAll("\\D", ""));
        } finally {
            server.destroyForcibly();
        }
        try (RamTarget ram = new RamTarget(DEVICE_BYTES)) {
            UblkDevice next = start(UblkServer.create().size(DEVICE_BYTES).serve(ram));
            Shell.succeed("dd", "if=" + next.path(), "of=/dev/null", "bs=64k", "count=16", "iflag=direct", "status=none");
            stop(next);
        }
        linux.delete(dead);
    }

    private static void assertFailed(Shell.Result fio) {
        assertThat(fio.status()).as(fio.output()).isNotZero();
        assertThat(fio.output()).containsAnyOf("Input/output error", "No such device", "No space left");
    }

    /** Until it fails. */
    private static String[] load(Path device) {
        return new String[] {"fio", "--name=load", "--filename=" + device, "--rw=randrw", "--bs=4k",
                "--size=" + DEVICE_BYTES,
            "--iodepth=32", "--ioengine=libaio", "--direct=1", "--thread", "--time_based", "--runtime=600", "--numjobs=2"};
    }
}
