package io.reactorublk;

import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.WRITE;

import io.reactorublk.target.RamTarget;
import io.reactorublk.uring.EventLoop;
import io.reactorublk.uring.FailedSyncContract;
import io.reactorublk.uring.Kernel;
import io.reactorublk.uring.RingConfig;
import io.reactorublk.uring.UringFile;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import reactor.core.publisher.Mono;

/** The page cache of a block device whose disk, which is ours, fails a write. */
class FailedSyncVmIT extends FailedSyncContract {

    private static final int PAGE_BYTES = 4096;

    private final LinuxDevices linux = new LinuxDevices();
    private final RamTarget ram = new RamTarget(1 << 20);
    private final AtomicBoolean broken = new AtomicBoolean();
    private final List<UringFile> files = new ArrayList<>();
    private final EventLoop loop = EventLoop.start(Kernel.linux(), "application", RingConfig.DEFAULT);
    private UblkDevice device;

    @BeforeEach
    void start() {
        BlockTarget failing = queue -> ram.serve(queue.via(requests -> requests.filter(this::isTaken)));
        device = Objects.requireNonNull(get(UblkServer.create().size(ram.sizeBytes()).blockSize(PAGE_BYTES).serve(failing).start()));
    }

    /** What is discarded is answered with EIO. */
    private boolean isTaken(BlockRequest request) {
        return request.operation() != Operation.WRITE || !broken.compareAndSet(true, false);
    }

    @AfterEach
    void stop() {
        files.forEach(file -> get(file.close()));
        get(device.disposeLater());
        loop.dispose();
        ram.close();
    }

    @Override
    protected <T> T get(Mono<T> mono) {
        return linux.get(mono);
    }

    @Override
    protected UringFile open() {
        UringFile file = get(UringFile.open(loop, device.path(), READ, WRITE));
        files.add(file);
        return file;
    }

    @Override
    protected MemorySegment page() {
        return loop.kernel().allocate(PAGE_BYTES, Arena.ofAuto());
    }

    @Override
    protected void breakOnce() {
        broken.set(true);
    }
}
