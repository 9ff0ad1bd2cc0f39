package io.reactorublk.samples.mirror;

import static java.nio.file.StandardOpenOption.CREATE;
import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.WRITE;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;

/**
 * What is found in a file that should be a replica. Read and made before there is a device, with plain blocking calls.
 *
 * @param identity equal for two paths to one file, be it by a symbolic or a hard link
 * @param sizeBytes of the whole file
 */
record ReplicaFile(Path path, Object identity, long sizeBytes, ReplicaHeader header) {

    /**
     * Looks at a file.
     *
     * @throws MirrorException if it is no replica, or cannot be used as one
     */
    static ReplicaFile read(Path path) {
        BasicFileAttributes attributes = usable(path);
        if (attributes.size() < ReplicaHeader.DATA_OFFSET) {
            throw new MirrorException("%s is too short for a replica: it has %d bytes, the header area alone has %d".formatted(
                    path, attributes.size(), ReplicaHeader.DATA_OFFSET));
        }
        ReplicaHeader header;
        try (FileChannel file = FileChannel.open(path, READ)) {
            header = headerIn(file);
        } catch (MirrorException e) {
            throw new MirrorException(path + " cannot be used as a replica: " + e.getMessage());
        } catch (IOException e) {
            throw new UncheckedIOException("reading the header of " + path, e);
        }
        long needed = ReplicaHeader.DATA_OFFSET + header.dataBytes();
        if (attributes.size() < needed) {
            throw new MirrorException(("%s is too short: it has %d bytes, its header and %d bytes of data need %d; "
                    + "it was cut off").formatted(path, attributes.size(), header.dataBytes(), needed));
        }
        return new ReplicaFile(path, identityOf(path, attributes), attributes.size(), header);
    }

    /** The newest header of an open file. */
    static ReplicaHeader headerIn(FileChannel file) throws IOException {
        ByteBuffer slots = ByteBuffer.allocate(ReplicaHeader.SLOTS * ReplicaHeader.SLOT_BYTES);
        while (slots.hasRemaining() && file.read(slots, slots.position()) > 0) {
            // until both are in
        }
        return ReplicaHeader.newest(slots.flip());
    }

    private static BasicFileAttributes usable(Path path) {
        if (!Files.exists(path)) throw new MirrorException(path + " does not exist; --create makes new replicas");
        if (!Files.isRegularFile(path)) {
            String what = Files.isDirectory(path) ? " is a directory" : " is no regular file";
            throw new MirrorException(path + what + "; a replica is a file");
        }
        if (!Files.isReadable(path)) throw new MirrorException(path + " cannot be read; give this user the permission");
        if (!isWritable(path)) throw new MirrorException(path + " is read-only; a replica must be writable");
        try {
            return Files.readAttributes(path, BasicFileAttributes.class);
        } catch (IOException e) {
            throw new UncheckedIOException("looking at " + path, e);
        }
    }

    /** Root may write what nobody may, but read-only for all means that somebody wanted it kept. */
    private static boolean isWritable(Path path) {
        try {
            return Files.isWritable(path)
                    && Files.getPosixFilePermissions(path).stream().anyMatch(permission -> permission.name().endsWith("WRITE"));
        } catch (IOException e) {
            throw new UncheckedIOException("looking at " + path, e);
        }
    }

    private static Object identityOf(Path path, BasicFileAttributes attributes) {
        Object key = attributes.fileKey();
        return key == null ? path.toAbsolutePath().normalize() : key;
    }

    /** Refuses to use one file for two members. */
    static void requireDistinct(List<ReplicaFile> files) {
        Map<Object, Path> seen = new HashMap<>();
        for (ReplicaFile file : files) requireNew(seen, file.identity, file.path);
    }

    private static void requireNew(Map<Object, Path> seen, Object identity, Path path) {
        Path other = seen.put(identity, path);
        if (other == null) return;
        throw new MirrorException(other.equals(path) ? path + " is given twice; a mirror needs different files"
                : other + " and " + path + " are the same file (by a link); a mirror needs different files");
    }

    /**
     * Makes the replicas of a new set: sparse files that read as zeroes, so that they are equal from the start.
     *
     * @param force whether to overwrite what is there
     * @throws MirrorException if something is there, or if the numbers do not fit
     */
    static List<ReplicaFile> create(List<Path> paths, long dataBytes, int quorum, boolean force) {
        int members = paths.size();
        if (members < ReplicaHeader.MIN_MEMBERS || members > ReplicaHeader.MAX_MEMBERS) {
            throw new MirrorException("%d replicas: from %d to %d are possible".formatted(
                    members, ReplicaHeader.MIN_MEMBERS, ReplicaHeader.MAX_MEMBERS));
        }
        if (quorum < 1 || quorum > members) {
            throw new MirrorException("a quorum of %d: with %d replicas, from 1 to %d are possible".formatted(
                    quorum, members, members));
        }
        Map<Object, Path> seen = new HashMap<>();
        for (Path path : paths) requireFree(path, force, seen);

        UUID set = UUID.randomUUID();
        List<ReplicaFile> files = new ArrayList<>();
        for (int member = 0; member < members; member++) {
            make(paths.get(member), ReplicaHeader.first(set, member, members, quorum, dataBytes));
            files.add(read(paths.get(member)));
        }
        return files;
    }

    /** All are looked at before the first is touched. */
    private static void requireFree(Path path, boolean force, Map<Object, Path> seen) {
        try {
            if (!Files.exists(path)) {
                Path folder = path.toAbsolutePath().normalize().getParent();
                if (folder == null || !Files.isDirectory(folder)) {
                    throw new MirrorException("the directory of " + path + " does not exist");
                }
                requireNew(seen, folder.toRealPath().resolve(path.getFileName()), path);
                return;
            }
            BasicFileAttributes attributes = usable(path);
            requireNew(seen, identityOf(path, attributes), path);
            if (attributes.size() > 0 && !force) {
                throw new MirrorException(path + " exists and is not empty; --force overwrites it, and what it holds is lost");
            }
        } catch (IOException e) {
            throw new UncheckedIOException("looking at " + path, e);
        }
    }

    private static void make(Path path, ReplicaHeader header) {
        try (FileChannel file = FileChannel.open(path, READ, WRITE, CREATE)) {
            file.truncate(0);
            file.write(ByteBuffer.allocate(1), ReplicaHeader.DATA_OFFSET + header.dataBytes() - 1);
            ByteBuffer slot = ByteBuffer.allocate(ReplicaHeader.SLOT_BYTES);
            header.encode(slot);
            while (slot.hasRemaining()) file.write(slot, header.slotOffset() + slot.position());
            file.force(true);
        } catch (IOException e) {
            throw new UncheckedIOException("making " + path, e);
        }
    }
}
