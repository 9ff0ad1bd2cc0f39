package io.reactorublk.uring.memory;

import io.reactorublk.uring.Errno;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.abi.linux_h;
import java.io.File;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** What is where: paths from the root, without links and without permissions. */
final class FileSystem {

    private static final int MAX_PATH_BYTES = 4096;
    private static final int MAX_NAME_BYTES = 255;
    /** Where {@code tmpfs} is: files that are nothing but memory. */
    private static final String SHARED = "/dev/shm";

    private sealed interface Node {
        record Regular(MemoryFile file) implements Node {}

        record Directory() implements Node {}

        record Shared(SharedFile file) implements Node {}

        record Fifo(MemoryPipe pipe) implements Node {}

        record Device(CharacterDevice device) implements Node {}
    }

    private final MemoryKernel kernel;
    private final TreeMap<String, Node> nodes = new TreeMap<>();

    FileSystem(MemoryKernel kernel) {
        this.kernel = kernel;
        nodes.put("/", new Node.Directory());
        directory(SHARED);
    }

    /**
     * {@code open(2)}.
     *
     * @throws KernelException if it refuses
     */
    Description open(String anyPath, int flags) {
        String path = absolute(anyPath);
        check(path);
        boolean writes = (flags & (linux_h.O_WRONLY() | linux_h.O_RDWR())) != 0;
        Node node = nodes.get(path);
        if (node == null) {
            if ((flags & linux_h.O_CREAT()) == 0) throw refused(path, Errno.ENOENT);
            node = SHARED.equals(parent(path)) ? new Node.Shared(new SharedFile()) : new Node.Regular(new MemoryFile(kernel.agenda()));
            nodes.put(path, node);
        } else if ((flags & linux_h.O_CREAT()) != 0 && (flags & linux_h.O_EXCL()) != 0) {
            throw refused(path, Errno.EEXIST);
        }
        return switch (node) {
            case Node.Regular(MemoryFile file) -> OpenRegularFile.open(path, file, flags);
            case Node.Shared(SharedFile file) -> file.open(kernel.addresses(), flags);
            case Node.Fifo(MemoryPipe pipe) -> pipe.open(flags);
            case Node.Device(CharacterDevice device) -> new OpenDevice(flags, device.open(kernel));
            case Node.Directory() -> {
                if (writes || (flags & linux_h.O_CREAT()) != 0) throw refused(path, Errno.EISDIR);
                yield new OpenDirectory(flags);
            }
        };
    }

    /** {@code readdir(3)}. */
    List<String> list(String anyPath) {
        String path = absolute(anyPath);
        if (!(nodes.get(path) instanceof Node.Directory)) throw new KernelException("list " + path, Errno.ENOENT);
        List<String> names = new ArrayList<>();
        for (String other : nodes.keySet()) {
            if (path.equals(parent(other))) names.add(other.substring(other.lastIndexOf('/') + 1));
        }
        return names;
    }

    /** That a path is no longer than a path may be, and leads through directories. */
    private void check(String path) {
        if (path.getBytes(StandardCharsets.UTF_8).length >= MAX_PATH_BYTES) throw refused(path, Errno.ENAMETOOLONG);
        for (String name : path.split("/", -1)) {
            if (name.getBytes(StandardCharsets.UTF_8).length > MAX_NAME_BYTES) throw refused(path, Errno.ENAMETOOLONG);
        }
        for (String parent = parent(path); parent != null; parent = parent(parent)) {
            Node node = nodes.get(parent);
            if (node != null && !(node instanceof Node.Directory)) throw refused(path, Errno.ENOTDIR);
            if (node == null) throw refused(path, Errno.ENOENT);
        }
    }

    MemoryFile file(String anyPath) {
        String path = absolute(anyPath);
        if (nodes.get(path) instanceof Node.Regular(MemoryFile file)) return file;
        MemoryFile file = new MemoryFile(kernel.agenda());
        add(path, new Node.Regular(file));
        return file;
    }

    void directory(String path) {
        add(absolute(path), new Node.Directory());
    }

    void pipe(String path) {
        add(absolute(path), new Node.Fifo(new MemoryPipe()));
    }

    void device(String path, CharacterDevice device) {
        add(absolute(path), new Node.Device(device));
    }

    void remove(String path) {
        if (nodes.remove(absolute(path)) == null) throw refused(path, Errno.ENOENT);
    }

    private void add(String path, Node node) {
        if (nodes.putIfAbsent(path, node) != null) throw refused(path, Errno.EEXIST);
        for (String parent = parent(path); parent != null; parent = parent(parent)) {
            nodes.putIfAbsent(parent, new Node.Directory());
        }
    }

    /** The power fails, and what was in memory only is gone. A file that was made and never synced may be gone with its content, but not its name. */
    void crash() {
        nodes.values().removeIf(Node.Shared.class::isInstance);
        for (Node node : nodes.values()) {
            if (node instanceof Node.Regular(MemoryFile file)) file.crash();
        }
    }

    private static String absolute(String path) {
        return absolute(path, File.separatorChar);
    }

    /** As the paths of this kernel are, also if they are written as those of the machine below it. */
    static String absolute(String anyPath, char separator) {
        String path = anyPath.replace(separator, '/');
        String absolute = path.startsWith("/") ? path : "/" + path;
        return absolute.length() > 1 && absolute.endsWith("/") ? absolute.substring(0, absolute.length() - 1) : absolute;
    }

    private static @Nullable String parent(String path) {
        if (path.equals("/")) return null;
        int slash = path.lastIndexOf('/');
        return slash == 0 ? "/" : path.substring(0, slash);
    }

    private static KernelException refused(String path, Errno errno) {
        return new KernelException("open " + path, errno);
    }

    /** A directory, of which nothing but its status can be read. */
    private static final class OpenDirectory extends Description {

        OpenDirectory(int flags) {
            super(flags);
        }

        @Override
        int read(java.util.List<java.lang.foreign.MemorySegment> pieces, long offset) {
            return Errno.EISDIR.result();
        }

        @Override
        int sync() {
            return 0;
        }

        @Override
        int mode() {
            return linux_h.S_IFDIR() | 0755;
        }
    }
}
