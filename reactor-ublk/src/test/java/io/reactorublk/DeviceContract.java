package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.reactorublk.uring.Errno;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.extension.RegisterExtension;

/**
 * What every kernel with ublk must satisfy, and we on it. The contracts below it are run once for each such kernel; whatever
 * a test does, nothing may be left of its devices, and nothing may be logged as an error that it does not expect.
 */
abstract class DeviceContract {

    static final int BLOCK = 4096;
    static final int MAX_IO = 64 << 10;
    static final long DEVICE_BYTES = 16 << 20;
    /** From here on no partition scan looks, and no udev. */
    static final long QUIET = 9 << 20;

    @RegisterExtension
    final LogCapture log = new LogCapture();

    DeviceFixture fixture;
    private String footprint;
    private final List<UblkDevice> devices = new ArrayList<>();
    private final List<Disk> disks = new ArrayList<>();

    /** Each test gets a new one. */
    abstract DeviceFixture newFixture();

    @BeforeEach
    final void createFixture() {
        fixture = newFixture();
        footprint = fixture.footprint();
    }

    @AfterEach
    final void nothingIsLeft() {
        disposeDevices();
        assertNothingIsLeft();
        fixture.close();
        assertThat(log.errors()).as("errors logged").isEmpty();
    }

    /** Before what their targets use is gone. */
    final void disposeDevices() {
        for (UblkDevice device : devices) device.dispose();
        closeDisks();
        for (UblkDevice device : devices) fixture.get(device.disposeLater().onErrorComplete());
    }

    /** Devices that are still served are left. */
    final void assertNothingIsLeft() {
        try {
            fixture.await(() -> fixture.footprint().equals(footprint));
        } catch (RuntimeException e) {
            assertThat(fixture.footprint()).as("what is left").isEqualTo(footprint);
        }
    }

    /** A device's defaults, small. */
    final UblkServer server(BlockTarget target) {
        UblkServer server = UblkServer.create().kernel(fixture.kernel()).size(DEVICE_BYTES).maxIoBytes(MAX_IO).serve(target);
        return fixture.isPrivileged() ? server : server.unprivileged();
    }

    final UblkDevice start(UblkServer server) {
        UblkDevice device = fixture.get(server.start());
        devices.add(device);
        return device;
    }

    /** Takes over a device that has lost its server. */
    final UblkDevice recover(UblkServer server, int id) {
        UblkDevice device = fixture.get(server.recover(id));
        devices.add(device);
        return device;
    }

    final Disk disk(UblkDevice device) {
        return track(fixture.open(device));
    }

    final Disk track(Disk disk) {
        disks.add(disk);
        return disk;
    }

    final Disk disk(BlockTarget target) {
        return disk(start(server(target)));
    }

    final void closeDisks() {
        for (Disk disk : disks) disk.close();
    }

    final byte[] read(Disk disk, long offset, int length) {
        return fixture.get(disk.read(offset, length));
    }

    final void write(Disk disk, long offset, byte[] bytes) {
        fixture.get(disk.write(offset, bytes));
    }

    final Errno failureOf(CompletableFuture<?> operation) {
        Disk.Failure failure = catchThrowableOfType(Disk.Failure.class, () -> fixture.get(operation));
        assertThat(failure).as("failure").isNotNull();
        return failure.errno();
    }

    /** That no read hangs: what the kernel tells an application of a device that is going has several names. */
    final void assertFails(CompletableFuture<?> operation) {
        assertThat(failureOf(operation)).isIn(Errno.EIO, Errno.ENODEV, Errno.ENXIO);
    }

    /** Reads so many blocks of the quiet part, apart from one another so that no two of them become one request. */
    static List<CompletableFuture<byte[]>> startReads(Disk disk, int count) {
        List<CompletableFuture<byte[]>> reads = new ArrayList<>();
        for (int i = 0; i < count; i++) reads.add(disk.read(place(i), BLOCK));
        return reads;
    }

    /** Where the i-th of some reads or writes goes. */
    static long place(int i) {
        return QUIET + i * 2L * BLOCK;
    }

    final void assertAllRead(List<CompletableFuture<byte[]>> reads) {
        for (CompletableFuture<byte[]> read : reads) assertThat(fixture.get(read)).hasSize(BLOCK);
    }

    final void assertAllFail(List<CompletableFuture<byte[]>> reads) {
        for (CompletableFuture<byte[]> read : reads) assertFails(read);
    }

    /** Whether a request is one of the test's own. */
    static boolean isQuiet(BlockRequest request) {
        return isQuiet(request.offset());
    }

    static boolean isQuiet(long offset) {
        return offset >= QUIET && offset < DEVICE_BYTES - (1 << 20);
    }

    static byte[] filled(int length, int value) {
        byte[] bytes = new byte[length];
        Arrays.fill(bytes, (byte) value);
        return bytes;
    }

    /** Bytes of which no two blocks are alike. */
    static byte[] pattern(int length, int seed) {
        byte[] bytes = new byte[length];
        new java.util.Random(seed).nextBytes(bytes);
        return bytes;
    }
}
