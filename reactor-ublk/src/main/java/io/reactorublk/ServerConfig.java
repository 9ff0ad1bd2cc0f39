package io.reactorublk;

import io.reactorublk.uring.Kernel;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/** What a {@link UblkServer} was told. Changed only while {@link UblkServer#with} holds the one reference to a copy. */
final class ServerConfig implements Cloneable {

    @Nullable Kernel kernel;
    @Nullable UblkControl control;
    @Nullable BlockTarget target;
    DataMode dataMode = DataMode.COPY;
    boolean sharedMemory;
    QueueListener listener = QueueListener.NONE;
    ControlListener controlListener = ControlListener.NONE;
    int id = UblkServer.ANY_ID;
    long sizeBytes;
    int blockSize = 512;
    int physicalBlockSize = 4096;
    int queues = 1;
    /** As many as there are queues, if nobody has asked for fewer. */
    int mostLoops = Integer.MAX_VALUE;
    int queueDepth = 128;
    int maxIoBytes = 512 << 10;
    int dmaAlignment = 4;
    int maxSegments;
    int maxSegmentBytes;
    long maxDiscardBytes = 1L << 30;
    int discardGranularityBytes = 4096;
    long maxWriteZeroesBytes = 1L << 30;
    boolean readOnly;
    boolean volatileCache = true;
    boolean fua;
    boolean rotational;
    boolean affinity = true;
    boolean partitionScan = true;
    boolean unprivileged;
    /** How long a request of an unprivileged device may take: {@code blk_mq_init_allocated_queue} gives it 30 s, and that is not all ours. */
    Duration patience = Duration.ofSeconds(25);
    Recovery recovery = Recovery.NONE;
    Duration stopGrace = Duration.ofSeconds(10);
    Duration controlDeadline = Duration.ofSeconds(20);

    ServerConfig copy() {
        try {
            return (ServerConfig) clone();
        } catch (CloneNotSupportedException e) {
            throw new AssertionError(e);
        }
    }

    int loops() {
        return Math.min(mostLoops, queues);
    }

    /** The same server of a device that is there already, and is what it is. */
    ServerConfig of(DeviceStatus status, DeviceParameters parameters) {
        ServerConfig config = copy();
        config.id = status.id();
        config.queues = status.queues();
        config.queueDepth = status.queueDepth();
        config.maxIoBytes = status.maxIoBytes();
        config.recovery = status.recovery();
        config.sizeBytes = parameters.sizeBytes();
        config.blockSize = parameters.blockSize();
        config.physicalBlockSize = parameters.physicalBlockSize();
        config.readOnly = parameters.readOnly();
        config.rotational = parameters.rotational();
        config.volatileCache = parameters.volatileCache();
        config.fua = parameters.fua();
        config.discardGranularityBytes = parameters.discardGranularityBytes();
        config.maxDiscardBytes = parameters.maxDiscardBytes();
        config.maxWriteZeroesBytes = parameters.maxWriteZeroesBytes();
        config.dmaAlignment = parameters.dmaAlignment();
        config.maxSegments = parameters.maxSegments();
        config.maxSegmentBytes = parameters.maxSegmentBytes();
        return config;
    }
}
