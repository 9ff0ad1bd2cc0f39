package io.reactorublk.samples.cli;

import io.reactorublk.uring.Kernel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;

/** A file below {@code /dev} that is held, not opened: it stays the one that it was, whatever comes to its place. */
interface Node extends AutoCloseable {

    /** To read and write it is for this user alone from now on, and for root. */
    void giveTo(int uid, int gid) throws IOException;

    @Override
    void close();

    /**
     * A file of this machine.
     *
     * @throws io.reactorublk.uring.KernelException ENOENT if there is none
     */
    static Node hold(Kernel kernel, Path path) {
        int oPath = 0x200000;                                          // O_PATH of fcntl.h: no driver hears of it
        int fd = kernel.open(path.toString(), oPath, 0);
        Path held = Path.of("/proc/self/fd", Integer.toString(fd));
        return new Node() {
            @Override
            public void giveTo(int uid, int gid) throws IOException {
                // Nobody of the group, be it the one before or the one to come, has it in between.
                Files.setPosixFilePermissions(held, PosixFilePermissions.fromString("rw-------"));
                Files.setAttribute(held, "unix:gid", gid);
                Files.setAttribute(held, "unix:uid", uid);
            }

            @Override
            public void close() {
                kernel.close(fd);
            }
        };
    }
}
