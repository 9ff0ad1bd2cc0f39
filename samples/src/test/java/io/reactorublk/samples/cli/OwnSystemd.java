package io.reactorublk.samples.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.awaitility.core.ConditionFactory;
import org.awaitility.core.ConditionTimeoutException;

/**
 * A real systemd: the first process of a namespace of its own, with a /run of its own, so that no other one is in its way. It
 * hears what udev says of devices, as that one does.
 */
final class OwnSystemd implements AutoCloseable {

    private static final Duration LIMIT = Duration.ofMinutes(2);

    /** What our units want, and what each service wants: nothing here, or systemd would set up a whole machine. */
    private static final List<String> EMPTY = List.of("sysinit.target", "basic.target", "shutdown.target", "local-fs.target",
            "multi-user.target", "start.target");

    private final Path folder;
    private final Process process;

    /** @param folder of the units, all that there are */
    OwnSystemd(Path folder) throws IOException {
        this.folder = folder;
        for (String name : EMPTY) Files.writeString(folder.resolve(name), "[Unit]\nDefaultDependencies=no\n");
        Path run = Files.createDirectories(folder.resolve("run"));
        Files.createDirectories(Path.of("/run/udev"));
        ProcessBuilder start = new ProcessBuilder("unshare", "--pid", "--mount", "--cgroup", "--uts", "--fork", "--kill-child", "--mount-proc", "bash", "-ec",
                "mount -t tmpfs run $0; mkdir $0/udev; mount --bind /run/udev $0/udev; mount -n --move $0 /run; mount -t cgroup2 cgroup2 /sys/fs/cgroup; exec "
                        + SystemPrograms.daemon("systemd") + " --system --unit=start.target --log-target=console --show-status=no", run.toString());
        start.environment().put("container", "test");
        start.environment().put("SYSTEMD_UNIT_PATH", folder.toString());
        process = start.redirectErrorStream(true).redirectOutput(folder.resolve("systemd").toFile()).start();
        try {
            patiently().ignoreExceptions().until(() -> run("is-active", "start.target").status() == 0);
        } catch (ConditionTimeoutException e) {
            close();
            throw e;
        }
    }

    /** Seldom, as each look takes an emulated machine its time. */
    static ConditionFactory patiently() {
        return await().atMost(LIMIT).pollDelay(Duration.ZERO).pollInterval(Duration.ofMillis(500));
    }

    String systemctl(String... words) throws IOException, InterruptedException {
        SystemPrograms.Result result = run(words);
        assertThat(result.status()).as("systemctl %s: %s\n%s", List.of(words), result.output(), Files.readString(folder.resolve("systemd"))).isZero();
        return result.output().strip();
    }

    private SystemPrograms.Result run(String... words) throws IOException, InterruptedException {
        List<String> inside = new ArrayList<>(List.of("nsenter", "--target", Long.toString(first()), "--mount", "--pid", "systemctl"));
        inside.addAll(List.of(words));
        return SystemPrograms.run(inside.toArray(String[]::new));
    }

    /** The one child of {@code unshare}, which is systemd. */
    private long first() {
        return process.children().findFirst().orElseThrow().pid();
    }

    @Override
    public void close() {
        process.destroyForcibly();
    }
}
