package io.reactorublk.samples.mirror;

import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.WRITE;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Keeps two programs from serving the same files, which would destroy them. Linux drops the locks with this process; it also
 * drops that of a file as soon as this process closes any descriptor of the file, so whoever opened one keeps it to the end.
 *
 * <p>Beside the {@link io.reactorublk.uring.Kernel} and not behind it: taken and dropped by a thread that may block.
 */
final class ReplicaLocks implements AutoCloseable {

    private static final Logger LOG = LoggerFactory.getLogger(ReplicaLocks.class);

    private final List<FileChannel> channels = new ArrayList<>();

    private ReplicaLocks() {}

    /** No locks, where nobody else can be. */
    static ReplicaLocks none() {
        return new ReplicaLocks();
    }

    /**
     * Locks these files. They were looked at before; what changed since then is found out.
     *
     * @throws MirrorException if one of them is in use, or was meanwhile
     */
    static ReplicaLocks of(List<@Nullable ReplicaFile> files) {
        ReplicaLocks locks = new ReplicaLocks();
        try {
            for (ReplicaFile file : files) if (file != null) locks.lock(file);
            return locks;
        } catch (RuntimeException e) {
            locks.close();
            throw e;
        }
    }

    private void lock(ReplicaFile file) {
        try {
            FileChannel channel = FileChannel.open(file.path(), READ, WRITE);
            channels.add(channel);
            if (channel.tryLock() == null) throw new MirrorException(file.path() + " is in use by another process");
            if (!ReplicaFile.headerIn(channel).equals(file.header())) {
                throw new MirrorException(file.path() + " was in use by another process a moment ago; try again");
            }
        } catch (OverlappingFileLockException e) {
            throw new MirrorException(file.path() + " is in use by this process already");
        } catch (IOException e) {
            throw new UncheckedIOException("locking " + file.path(), e);
        }
    }

    @Override
    public void close() {
        for (FileChannel channel : channels) {
            try {
                channel.close();
            } catch (IOException e) {
                LOG.warn("closing a replica", e);
            }
        }
    }
}
