package io.reactorublk;

import io.reactorublk.uring.Kernel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * All the memory of a queue, allocated when the device starts and freed when it has been deleted: until then the driver may
 * write to it. The mapped descriptors alone go earlier, because they keep the device from being deleted.
 */
record QueueMemory(int depth, DataBuffers data, SharedBuffers shared, CommitBuffer filling, CommitBuffer withKernel, MemorySegment fetchSlots,
        IoDescriptors descriptors) {

    static QueueMemory allocate(DataMode mode, Kernel kernel, int charDevice, int queueId, int depth, int maxIoBytes,
            SharedBuffers.Registered shared, Arena untilDeleted, Arena mapped) {
        IoDescriptors descriptors = new IoDescriptors(kernel, charDevice, queueId, depth, mapped);
        return new QueueMemory(depth,
                mode == DataMode.COPY ? new CopiedBuffers(kernel, depth, maxIoBytes, untilDeleted)
                        : new CharDeviceBuffers(mode, kernel, depth, maxIoBytes, untilDeleted),
                new SharedBuffers(shared, descriptors),
                new CommitBuffer(mode, kernel, depth, untilDeleted),
                new CommitBuffer(mode, kernel, depth, untilDeleted),
                FetchBuffer.allocate(kernel, depth, untilDeleted),
                descriptors);
    }

    /** Memory that never faults. Locking comes before touching, so that what is too much is refused rather than taken. */
    static MemorySegment locked(Kernel kernel, long lengthBytes, Arena arena) {
        MemorySegment memory = kernel.allocate(lengthBytes, arena);
        kernel.mlock(memory);
        return memory;
    }
}
