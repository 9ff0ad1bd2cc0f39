package io.reactorublk;

import io.reactorublk.target.RamTarget;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** File systems live on a device, and find themselves in order afterwards. */
class FileSystemVmIT extends LinuxDeviceTest {

    @TempDir
    Path directory;

    private Path tree;

    @BeforeEach
    void makeATree() throws IOException {
        tree = Files.createDirectory(directory.resolve("tree"));
        Random random = new Random(1);
        for (int i = 0; i < 40; i++) {
            Path folder = Files.createDirectories(tree.resolve("folder-" + i % 7));
            byte[] bytes = new byte[random.nextInt(100_000)];
            random.nextBytes(bytes);
            Files.write(folder.resolve("file-" + i), bytes);
        }
    }

    @Test
    void ext4() throws IOException {
        keepsATree("ext4", 64 << 20, new String[] {"mkfs.ext4", "-q"}, new String[] {"e2fsck", "-f", "-n"});
    }

    /** Smaller than 300 MiB it may not be. */
    @Test
    void xfs() throws IOException {
        keepsATree("xfs", 320 << 20, new String[] {"mkfs.xfs", "-q"}, new String[] {"xfs_repair", "-n"});
    }

    /** The kernel does so by itself where it finds modprobe, which is not everywhere in the same place. */
    static void loadModule(String name) {
        try {
            Shell.run("modprobe", name);
        } catch (UncheckedIOException thereIsNoModprobe) {
            // It may be built in.
        }
    }

    private void keepsATree(String fileSystem, long sizeBytes, String[] make, String[] check) throws IOException {
        try (RamTarget ram = new RamTarget(sizeBytes)) {
            UblkDevice device = start(UblkServer.create().size(sizeBytes).queues(2).serve(ram));
            String path = device.path().toString();
            String mountPoint = Files.createDirectory(directory.resolve("mounted")).toString();
            Shell.succeed(with(make, path));
            loadModule(fileSystem);
            Shell.succeed("mount", path, mountPoint);
            try {
                Shell.succeed("cp", "-a", tree.toString(), mountPoint);
            } finally {
                Shell.succeed("umount",
                        mountPoint);                   // never leave one mounted that its own server must end
            }
            Shell.succeed(with(check, path));
            Shell.succeed("mount", "-o", "ro", path, mountPoint);
            try {
                Shell.succeed("diff", "--recursive", tree.toString(), mountPoint + "/tree");
            } finally {
                Shell.succeed("umount", mountPoint);
            }
            stop(device);
        }
    }

    private static String[] with(String[] command, String argument) {
        String[] all = java.util.Arrays.copyOf(command, command.length + 1);
        all[command.length] = argument;
        return all;
    }
}
