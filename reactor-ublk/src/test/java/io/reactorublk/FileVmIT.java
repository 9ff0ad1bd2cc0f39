package io.reactorublk;

import io.reactorublk.target.RamTarget;
import io.reactorublk.uring.FileLinuxIT;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;

/**
 * The contracts of a file on the kernel that devices are tested on, in a file system that can do all they ask for: an ext4 on a
 * device of ours.
 */
class FileVmIT extends FileLinuxIT {

    private static final long BYTES = 256 << 20;
    private static final LinuxDevices LINUX = new LinuxDevices();

    @TempDir
    static Path folder;

    private static RamTarget ram;
    private static UblkDevice device;

    @BeforeAll
    static void makeFileSystem() throws IOException {
        ram = new RamTarget(BYTES);
        device = Objects.requireNonNull(LINUX.get(UblkServer.create().size(BYTES).serve(ram).start()));
        Path mounted = Files.createDirectory(folder.resolve("mounted"));
        Shell.succeed("mkfs.ext4", "-q", device.path().toString());
        FileSystemVmIT.loadModule("ext4");
        Shell.succeed("mount", device.path().toString(), mounted.toString());
        System.setProperty(WORLDS, mounted.toString());
    }

    @AfterAll
    static void removeFileSystem() {
        System.clearProperty(WORLDS);
        Shell.succeed("umount", folder.resolve("mounted").toString());
        LINUX.get(device.disposeLater());
        ram.close();
    }
}
