package io.reactorublk.samples.cli;

import io.reactorublk.Feature;
import io.reactorublk.UblkControl;
import io.reactorublk.uring.KernelException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Looks whether this machine can serve devices, and says what to change where it cannot. Changes nothing itself. */
final class Doctor {

    /** How bad it is. */
    enum Level {
        OK("green"),
        /** Serves, but not as well or as safely as it could. */
        WARN("yellow"),
        /** Does not serve. */
        BAD("red");

        private final String colour;

        Level(String colour) {
            this.colour = colour;
        }
    }

    /**
     * What came of one look.
     *
     * @param remedy empty if all is well
     */
    record Finding(Level level, String what, String remedy) {

        String text() {
            return "@|%s %-4s|@  %s%s".formatted(level.colour, level.name().toLowerCase(java.util.Locale.ROOT), what,
                    remedy.isEmpty() ? "" : ": " + remedy);
        }

        Map<String, String> json() {
            Map<String, String> json = new LinkedHashMap<>();
            json.put("level", level.name());
            json.put("finding", what);
            json.put("remedy", remedy);
            return json;
        }
    }

    private static final int FIRST_KERNEL = 7;
    private static final int CAP_IPC_LOCK = 14;
    private static final int CAP_SYS_ADMIN = 21;
    private static final int CAP_SYS_RESOURCE = 24;
    /** One queue with the defaults: (128 + 1) x 512 KiB. */
    private static final long QUEUE_BYTES = 129L * (512 << 10);
    private static final Duration DEADLINE = Duration.ofSeconds(5);
    /** What devices do without: what each of them is for. */
    private static final Map<Feature, String> USEFUL = Map.of(
            Feature.USER_RECOVERY, "devices that outlive their server",
            Feature.UPDATE_SIZE, "resizing",
            Feature.SAFE_STOP_DEV, "stop --if-unused",
            Feature.USER_COPY, "--data-mode user_copy and late_copy",
            Feature.AUTO_BUF_REG, "--data-mode zero_copy");

    private final Path root;
    private final Machine machine;
    private final List<Finding> findings = new ArrayList<>();

    /** @param root {@code /}, or where a test has put what there would be */
    Doctor(Path root, Machine machine) {
        this.root = root;
        this.machine = machine;
    }

    List<Finding> look() {
        String release = read("proc/sys/kernel/osrelease").orElse("").strip();
        kernel(release);
        module(release);
        control();
        ioUring();
        capabilities();
        lockedMemory();
        swap();
        return List.copyOf(findings);
    }

    private void kernel(String release) {
        Matcher version = Pattern.compile("(\\d+)\\..*").matcher(release);
        if (version.matches() && Integer.parseInt(version.group(1)) >= FIRST_KERNEL) {
            ok("Linux " + release);
        } else {
            bad("Linux " + release, "the batch protocol of ublk needs 7.0 or later");
        }
    }

    private void module(String release) {
        Path modules = root.resolve("lib/modules").resolve(release.isEmpty() ? "unknown" : release);
        if (Files.exists(root.resolve("sys/module/ublk_drv")) || Files.exists(root.resolve("sys/class/ublk-char"))) {
            ok("the driver ublk_drv is loaded");
        } else if (read(modules.resolve("modules.dep")).filter(list -> list.contains("/ublk_drv.ko")).isPresent()) {
            bad("the driver ublk_drv is not loaded", "modprobe ublk_drv; at each boot: echo ublk_drv > /etc/modules-load.d/ublk.conf");
        } else {
            bad("this kernel has no driver ublk_drv", "install the package with the rest of its modules "
                    + "(linux-modules-extra-… on Ubuntu), or a kernel with CONFIG_BLK_DEV_UBLK");
        }
    }

    private void control() {
        Path control = root.resolve("dev/ublk-control");
        if (!Files.exists(control)) {
            bad("/dev/ublk-control is not there", "load the driver; in a container pass the device in");
        } else if (!Files.isReadable(control) || !Files.isWritable(control)) {
            bad("/dev/ublk-control is not permitted", "run as root");
        } else {
            ok("/dev/ublk-control is there and permitted");
            features();
        }
    }

    private void features() {
        try (UblkControl ublk = UblkControl.create(machine.kernel(), DEADLINE)) {
            Set<Feature> offered = Objects.requireNonNull(machine.await(ublk.features()));
            if (offered.contains(Feature.BATCH_IO)) {
                ok("the driver has BATCH_IO");
            } else {
                bad("the driver has no BATCH_IO", "a kernel of " + Feature.BATCH_IO.since() + " or later");
            }
            for (Feature feature : Feature.values()) {
                String use = USEFUL.get(feature);
                if (use == null) continue;
                if (offered.contains(feature)) {
                    ok("the driver has " + feature + ", for " + use);
                } else {
                    warn("the driver has no " + feature + ", for " + use, "a kernel of " + feature.since() + " or later");
                }
            }
        } catch (KernelException e) {
            bad("the driver does not answer", String.valueOf(e.getMessage()));
        }
    }

    private void ioUring() {
        switch (read("proc/sys/kernel/io_uring_disabled").orElse("0").strip()) {
            case "0" -> ok("io_uring is permitted to all");
            case "1" -> warn("io_uring is permitted to CAP_SYS_ADMIN and the group of kernel.io_uring_group only",
                    "fine for root; else sysctl kernel.io_uring_disabled=0");
            default -> bad("io_uring is disabled", "sysctl kernel.io_uring_disabled=0");
        }
    }

    private void capabilities() {
        if (has(CAP_SYS_ADMIN)) {
            ok("CAP_SYS_ADMIN, to make devices");
        } else {
            bad("no CAP_SYS_ADMIN", "run as root; systemd: AmbientCapabilities=CAP_SYS_ADMIN");
        }
        if (has(CAP_SYS_RESOURCE)) {
            ok("CAP_SYS_RESOURCE, to stay alive under memory pressure");
        } else {
            warn("no CAP_SYS_RESOURCE", "without it a server can wait for its own device when memory is short; grant it");
        }
    }

    private void lockedMemory() {
        Matcher limit = Pattern.compile("Max locked memory\\s+(\\S+)").matcher(read("proc/self/limits").orElse(""));
        String soft = limit.find() ? limit.group(1) : "unlimited";
        if (has(CAP_IPC_LOCK) || soft.equals("unlimited")) {
            ok("memory can be locked without a limit");
        } else if (Long.parseLong(soft) >= QUEUE_BYTES) {
            warn(Size.text(Long.parseLong(soft)) + " of memory can be locked", "a queue of the defaults needs "
                    + Size.text(QUEUE_BYTES) + "; for more raise RLIMIT_MEMLOCK");
        } else {
            bad("only " + Size.text(Long.parseLong(soft)) + " of memory can be locked", "a queue of the defaults needs "
                    + Size.text(QUEUE_BYTES) + "; ulimit -l unlimited; systemd: LimitMEMLOCK=infinity");
        }
    }

    private void swap() {
        if (read("proc/swaps").orElse("").lines().count() <= 1) {
            ok("there is no swap");
        } else {
            warn("there is swap", "keep servers out of it: MemorySwapMax=0 for their unit, or swapoff -a");
        }
    }

    // ------------------------------------------------------------------------------------------- what they need

    private boolean has(int capability) {
        Matcher effective = Pattern.compile("CapEff:\\s+(\\p{XDigit}+)").matcher(read("proc/self/status").orElse(""));
        return effective.find() && ((Long.parseUnsignedLong(effective.group(1), 16) >>> capability) & 1) == 1;
    }

    private Optional<String> read(String file) {
        return read(root.resolve(file));
    }

    private static Optional<String> read(Path file) {
        try {
            return Files.exists(file) ? Optional.of(Files.readString(file, StandardCharsets.ISO_8859_1)) : Optional.empty();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private void ok(String what) {
        findings.add(new Finding(Level.OK, what, ""));
    }

    private void warn(String what, String remedy) {
        findings.add(new Finding(Level.WARN, what, remedy));
    }

    private void bad(String what, String remedy) {
        findings.add(new Finding(Level.BAD, what, remedy));
    }
}
