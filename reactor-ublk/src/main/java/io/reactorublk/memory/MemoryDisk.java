package io.reactorublk.memory;

import io.reactorublk.abi.ublk_cmd_h;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.KernelException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;
import reactor.core.Disposable;
import reactor.core.Disposables;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.MonoSink;

/**
 * A block device of a {@link MemoryUblk} as an application sees it: past the page cache, split into requests as the block
 * layer does, and refused what it would refuse.
 *
 * <p>Everything happens in {@link MemoryUblk#settle}. A failure is a {@link KernelException} with the errno that an
 * application would get. What is read or written in parts of blocks is read, patched and written back as whole ones.
 */
public final class MemoryDisk {

    private static final int PAGE = 4096;

    private final MemoryUblkDriver driver;
    private final DriverDevice device;

    MemoryDisk(MemoryUblkDriver driver, DriverDevice device) {
        this.driver = driver;
        this.device = device;
    }

    // ------------------------------------------------------------------------------------------- what an application does

    /** Reads; less than was asked for where the device ends. */
    public Mono<byte[]> read(long offset, int length) {
        return Mono.defer(() -> {
            DiskLimits limits = limits("read");
            require("read", offset >= 0 && length >= 0);
            long end = Math.min(offset + length, limits.sizeBytes());
            if (offset >= end) return Mono.just(new byte[0]);
            long first = offset - offset % limits.blockSize();
            byte[] bytes = new byte[(int) (roundUp(end, limits.blockSize()) - first)];
            return submit("read", bio -> bio.transfer(IoRequest.READ, 0, first, MemorySegment.ofArray(bytes))).then(Mono.fromSupplier(() ->
                    bytes.length == length ? bytes : Arrays.copyOfRange(bytes, (int) (offset - first), (int) (end - first))));
        });
    }

    /** Writes, into the device's cache if it has one. */
    public Mono<Void> write(long offset, byte[] bytes) {
        return write(offset, bytes, 0);
    }

    /** Writes, and completes when it is durable: {@code O_DSYNC}. FUA where the device has it, else followed by a FLUSH. */
    public Mono<Void> writeDurably(long offset, byte[] bytes) {
        return Mono.defer(() -> {
            DiskLimits limits = limits("write");
            if (limits.fua()) return write(offset, bytes, ublk_cmd_h.UBLK_IO_F_FUA());
            return write(offset, bytes, 0).then(Mono.defer(this::flush));
        });
    }

    private Mono<Void> write(long offset, byte[] bytes, int flags) {
        return Mono.defer(() -> {
            DiskLimits limits = limits("write");
            require("write", offset >= 0);
            if (limits.readOnly()) return refused("write", Errno.EACCES);
            if (offset + bytes.length > limits.sizeBytes()) return refused("write", Errno.ENOSPC);
            long first = offset - offset % limits.blockSize();
            long end = roundUp(offset + bytes.length, limits.blockSize());
            if (end - first == bytes.length) {
                MemorySegment copy = MemorySegment.ofArray(bytes.clone());
                return submit("write", bio -> bio.transfer(IoRequest.WRITE, flags, offset, copy));
            }
            return read(first, (int) (end - first)).flatMap(blocks -> {
                System.arraycopy(bytes, 0, blocks, (int) (offset - first), bytes.length);
                return submit("write", bio -> bio.transfer(IoRequest.WRITE, flags, first, MemorySegment.ofArray(blocks)));
            });
        });
    }

    /**
     * Reads straight into memory of an application's, such as a piece of a {@link io.reactorublk.SharedMemory}: {@code O_DIRECT},
     * so whole blocks. If the read fails, or ends early, the rest of that memory is as the server has left it.
     *
     * @return how many bytes were read: less than there is room for where the device ends
     */
    public Mono<Integer> read(long offset, MemorySegment into) {
        return Mono.defer(() -> {
            DiskLimits limits = limits("read");
            requireDirect("read", limits, offset, into);
            long length = Math.clamp(limits.sizeBytes() - offset, 0, into.byteSize());
            return submit("read", bio -> bio.transfer(IoRequest.READ, 0, offset, into.asSlice(0, length))).thenReturn((int) length);
        });
    }

    /** Writes straight from memory of an application's, as {@link #read(long, MemorySegment)} reads. It must not change meanwhile. */
    public Mono<Void> write(long offset, MemorySegment from) {
        return Mono.defer(() -> {
            DiskLimits limits = limits("write");
            requireDirect("write", limits, offset, from);
            if (limits.readOnly()) return refused("write", Errno.EACCES);
            if (offset + from.byteSize() > limits.sizeBytes()) return refused("write", Errno.ENOSPC);
            return submit("write", bio -> bio.transfer(IoRequest.WRITE, 0, offset, from));
        });
    }

    /** {@code blkdev_dio_invalid}. */
    private void requireDirect(String name, DiskLimits limits, long offset, MemorySegment memory) {
        require(name, offset >= 0 && offset % limits.blockSize() == 0 && memory.byteSize() % limits.blockSize() == 0);
    }

    /** {@code fdatasync(2)}: a FLUSH, if the device has a volatile cache. */
    public Mono<Void> flush() {
        return submit("flush", bio -> {
            if (bio.limits().volatileCache()) bio.add(IoRequest.range(IoRequest.FLUSH, 0, 0, 0, bio::ended));
        });
    }

    /** {@code BLKDISCARD}: the range is no longer needed. Whole blocks. */
    public Mono<Void> discard(long offset, long length) {
        return submit("discard", bio -> {
            bio.requireBlocks(offset, length);
            bio.ranges(IoRequest.DISCARD, 0, offset, length, bio.limits().maxDiscardBytes(), bio.limits().discardGranularityBytes());
        });
    }

    /** {@code BLKZEROOUT}: the range reads as zeroes and stays allocated. Whole blocks; written, if the device has no WRITE_ZEROES. */
    public Mono<Void> writeZeroes(long offset, long length) {
        return submit("zeroes", bio -> {
            bio.requireBlocks(offset, length);
            if (bio.limits().maxWriteZeroesBytes() == 0) throw refusal("zeroes", Errno.EOPNOTSUPP);
            bio.ranges(IoRequest.WRITE_ZEROES, ublk_cmd_h.UBLK_IO_F_NOUNMAP(), offset, length, bio.limits().maxWriteZeroesBytes(), 1);
        }).onErrorResume(e -> e instanceof KernelException refusal && refusal.errno() == Errno.EOPNOTSUPP,
                e -> write(offset, new byte[(int) length], 0));
    }

    /** {@code FALLOC_FL_PUNCH_HOLE}: the range reads as zeroes and may be freed. Whole blocks. */
    public Mono<Void> punchHole(long offset, long length) {
        return submit("punch", bio -> {
            bio.requireBlocks(offset, length);
            bio.ranges(IoRequest.WRITE_ZEROES, 0, offset, length, bio.limits().maxWriteZeroesBytes(), 1);
        });
    }

    /** Starts to read so many pages, one request each, from the start of the disk on, over and over. Completes when all are read. */
    public Mono<Void> readBlocks(int count) {
        Mono<Void> all = Flux.range(0, count)
                .flatMap(i -> read(i * (long) PAGE % Math.max(PAGE, sizeBytes() / PAGE * PAGE), PAGE), Math.max(1, count))
                .then().cache();
        all.subscribe(nothing -> {}, e -> {});
        return all;
    }

    /** Keeps the device open until that is disposed: its number stays in use as long. */
    public Disposable open() {
        BlockLayer disk = disk("open");
        disk.open();
        return Disposables.composite(() -> driver.worker(disk::close));
    }

    // ------------------------------------------------------------------------------------------- what can be seen

    /** How large it is. */
    public long sizeBytes() {
        return limits("size").sizeBytes();
    }

    /** Requests that have not left the kernel: in the driver, for want of a server, and such as have no tag yet. */
    public int waiting() {
        BlockLayer disk = device.disk();
        int count = disk == null ? 0 : disk.withoutTag() + disk.held();
        for (DriverQueue queue : device.queues()) count += queue.waiting();
        return count;
    }

    /** Requests that the server has. */
    public int inFlight() {
        int count = 0;
        for (DriverQueue queue : device.queues()) count += queue.inFlight();
        return count;
    }

    /** Whether the device has been stopped, or has lost its server. */
    public boolean isGone() {
        return device.disk() == null;
    }

    @Override
    public String toString() {
        return "/dev/ublkb" + device.id();
    }

    // ------------------------------------------------------------------------------------------- bios

    @FunctionalInterface
    private interface Plan {
        void addTo(Bio bio);
    }

    private Mono<Void> submit(String name, Plan plan) {
        return Mono.create(sink -> driver.worker(() -> {
            Bio bio;
            try {
                bio = new Bio(name, disk(name), sink);
                plan.addTo(bio);
            } catch (RuntimeException e) {
                sink.error(e);
                return;
            }
            bio.start();
        }));
    }

    /** One operation of an application: some requests, and who waits for the last of them. */
    private final class Bio {

        private final String name;
        private final BlockLayer disk;
        private final MonoSink<Void> sink;
        private final List<IoRequest> requests = new ArrayList<>();
        private int pending;
        private @Nullable Errno failure;

        Bio(String name, BlockLayer disk, MonoSink<Void> sink) {
            this.name = name;
            this.disk = disk;
            this.sink = sink;
        }

        DiskLimits limits() {
            return disk.limits();
        }

        void requireBlocks(long offset, long length) {
            if (limits().readOnly()) throw refusal(name, Errno.EACCES);
            require(name, offset >= 0 && length > 0 && offset + length <= limits().sizeBytes()
                    && offset % limits().blockSize() == 0 && length % limits().blockSize() == 0);
        }

        void add(IoRequest request) {
            requests.add(request);
        }

        /** {@code bio_split_rw}. */
        void transfer(int operation, int flags, long offset, MemorySegment memory) {
            int most = limits().maxIoBytes() / limits().blockSize() * limits().blockSize();
            for (long from = 0; from < memory.byteSize(); from += most) {
                long length = Math.min(most, memory.byteSize() - from);
                add(IoRequest.transfer(operation, flags, offset + from, memory, from, length, this::ended));
            }
        }

        /** {@code bio_split_discard}, {@code bio_split_write_zeroes}. */
        void ranges(int operation, int flags, long offset, long length, long mostBytes, int granularity) {
            if (mostBytes == 0) throw refusal(name, Errno.EOPNOTSUPP);
            long most = mostBytes < granularity ? mostBytes : mostBytes / granularity * granularity;
            for (long done = 0; done < length; done += most) {
                add(IoRequest.range(operation, flags, offset + done, Math.min(most, length - done), this::ended));
            }
        }

        void start() {
            disk.open();
            pending = requests.size();
            if (pending == 0) {
                finish();
            } else {
                disk.submit(requests);
            }
        }

        /** The first failure is what the application hears of. It wakes up in its own time. */
        void ended(@Nullable Errno errno) {
            if (failure == null) failure = errno;
            if (--pending == 0) driver.worker(this::finish);
        }

        private void finish() {
            disk.close();
            if (failure == null) {
                sink.success();
            } else {
                sink.error(refusal(name, failure));
            }
        }
    }

    private BlockLayer disk(String name) {
        BlockLayer disk = device.disk();
        if (disk == null || disk.isDead()) throw refusal(name, Errno.ENODEV);
        return disk;
    }

    private DiskLimits limits(String name) {
        return disk(name).limits();
    }

    private KernelException refusal(String name, Errno errno) {
        return new KernelException(name + " of " + this, errno);
    }

    private <T> Mono<T> refused(String name, Errno errno) {
        return Mono.error(refusal(name, errno));
    }

    private void require(String name, boolean valid) {
        if (!valid) throw refusal(name, Errno.EINVAL);
    }

    private static long roundUp(long bytes, int unit) {
        return (bytes + unit - 1) / unit * unit;
    }
}
