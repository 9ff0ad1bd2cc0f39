package io.reactorublk.samples.cli;

import io.reactorublk.Feature;
import io.reactorublk.UblkControl;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.KernelException;
import io.reactorublk.uring.Ring;
import io.reactorublk.uring.RingConfig;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

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
    /** One that an ordinary user's limit, 8 MiB as a rule, has room for: (32 + 1) x 128 KiB. */
    private static final long SMALL_QUEUE_BYTES = 33L * (128 << 10);
    private static final String SMALL_QUEUE = "--depth 32 --max-io 128K";
    /** More in one process than most will want. */
    private static final int MANY_DEVICES = 64;
    private static final RingConfig RING = new RingConfig(1, 2, false);
    private static final Duration DEADLINE = Duration.ofSeconds(5);
    /** What devices do without: what each of them is for. */
    private static final Map<Feature, String> USEFUL = Map.of(
            Feature.USER_RECOVERY, "devices that outlive their server",
            Feature.UPDATE_SIZE, "resizing",
            Feature.SAFE_STOP_DEV, "stop --if-unused",
            Feature.NO_AUTO_PART_SCAN, "--no-partition-scan",
            Feature.USER_COPY, "--data-mode user_copy and late_copy",
            Feature.AUTO_BUF_REG, "--data-mode zero_copy",
            Feature.SHMEM_ZC, "memory that applications share with a server");

    /**
     * What a process may have so many of.
     *
     * @param name of the limit
     * @param remedy how to raise it
     */
    private record Limit(long left, String name, String remedy) {}

    /** What a process that serves has many of. */
    private enum Needed {
        DESCRIPTORS(100, 6),
        THREADS(40, 2),
        MAPPINGS(1000, 16);

        /** What the JVM takes. */
        private final int before;
        /** What each device of one queue takes, by default; the manual has the table, under "Many devices in one process". */
        private final int each;

        Needed(int before, int each) {
            this.before = before;
            this.each = each;
        }
    }

    private final Path root;
    private final Machine machine;
    private final List<Finding> findings = new ArrayList<>();
    /** What the driver can do; nothing if it cannot be asked. */
    private Set<Feature> offered = Set.of();

    /** @param root {@code /}, or where a test has put what there would be */
    Doctor(Path root, Machine machine) {
        this.root = root;
        this.machine = machine;
    }

    List<Finding> look() {
        String release = read("proc/sys/kernel/osrelease").orElse("").strip();
        kernel(release);
        module(release);
        boolean hasRings = ioUring();
        control(hasRings);
        capabilities();
        devicesOfUsers();
        lockedMemory();
        descriptors();
        threads();
        mappings();
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

    private void control(boolean canAsk) {
        Path control = root.resolve("dev/ublk-control");
        if (!Files.exists(control)) {
            bad("/dev/ublk-control is not there", "load the driver; in a container pass the device in");
        } else if (!Files.isReadable(control) || !Files.isWritable(control)) {
            bad("/dev/ublk-control is not permitted", "run as root, or have the udev rules of the manual for --unprivileged");
        } else {
            ok("/dev/ublk-control is there and permitted");
            if (canAsk) features();
        }
    }

    private void features() {
        try (UblkControl ublk = UblkControl.create(machine.kernel(), DEADLINE)) {
            offered = Objects.requireNonNull(machine.await(ublk.features()));
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

    /**
     * Tries the three calls, as not all that forbids them can be looked up.
     *
     * @return whether there are rings for us
     */
    private boolean ioUring() {
        String disabled = read("proc/sys/kernel/io_uring_disabled").orElse("0").strip();
        try (Ring ring = Ring.open(machine.kernel(), RING)) {
            ring.enable();
            ring.enter(false, Ring.FOREVER);
            ok("io_uring works" + (disabled.equals("0") ? "" : ", but not for all: kernel.io_uring_disabled is " + disabled));
            return true;
        } catch (KernelException e) {
            bad("io_uring is refused, %s: %s".formatted(e.call(), e.errno()), whatForbidsRings(disabled, e));
        } catch (UnsupportedOperationException e) {
            bad("io_uring cannot be used", String.valueOf(e.getMessage()));
        }
        return false;
    }

    private String whatForbidsRings(String disabled, KernelException refusal) {
        if (disabled.equals("1")) return "sysctl kernel.io_uring_disabled=0, or be in the group of kernel.io_uring_group, or run as root";
        if (!disabled.equals("0")) return "sysctl kernel.io_uring_disabled=0";
        return switch (refusal.errno()) {
            case EPERM, EACCES, ENOSYS -> isFiltered()
                    ? "let the seccomp profile allow io_uring_setup, io_uring_enter and io_uring_register; docker, podman: --security-opt seccomp=PROFILE"
                    : refusal.errno() == Errno.ENOSYS ? "a kernel with CONFIG_IO_URING" : "let SELinux, or what else confines this process, allow it";
            default -> String.valueOf(refusal.getMessage());
        };
    }

    /** {@code SECCOMP_MODE_FILTER} of {@code proc_pid_status(5)}. */
    private boolean isFiltered() {
        return read("proc/self/status").orElse("").lines().anyMatch(line -> line.matches("Seccomp:\\s+2"));
    }

    private void capabilities() {
        if (has(CAP_SYS_ADMIN)) {
            ok("CAP_SYS_ADMIN, to make devices");
        } else if (makesUnprivileged()) {
            warn("no CAP_SYS_ADMIN, to make devices but those of ordinary users", "make them --unprivileged, the manual says what is different; "
                    + "for others run as root; systemd: AmbientCapabilities=CAP_SYS_ADMIN");
        } else {
            bad("no CAP_SYS_ADMIN", "run as root, in a container with --cap-add SYS_ADMIN; systemd: AmbientCapabilities=CAP_SYS_ADMIN; "
                    + "or have the udev rules of the manual and make devices --unprivileged");
        }
        if (has(CAP_SYS_RESOURCE)) {
            ok("CAP_SYS_RESOURCE, to stay alive under memory pressure");
        } else {
            warn("no CAP_SYS_RESOURCE", "without it a server can wait for its own device when memory is short; run as root, "
                    + "in a container with --cap-add SYS_RESOURCE; systemd: AmbientCapabilities=CAP_SYS_RESOURCE");
        }
    }

    /** Whether the driver can be asked, and is there for those without CAP_SYS_ADMIN. */
    private boolean makesUnprivileged() {
        return !has(CAP_SYS_ADMIN) && offered.contains(Feature.UNPRIVILEGED_DEV);
    }

    /** Of all of them together. Which of the devices that are there are other users' we are not told. */
    private void devicesOfUsers() {
        OptionalLong most = number(read("sys/module/ublk_drv/parameters/ublks_max"));
        if (!makesUnprivileged() || most.isEmpty()) return;
        long there = count("sys/class/ublk-char");
        String what = "%d devices of ordinary users may be made, of all users together".formatted(most.getAsLong());
        String remedy = "root raises /sys/module/ublk_drv/parameters/ublks_max";
        if (most.getAsLong() == 0) {
            bad("no device of ordinary users may be made", remedy);
        } else if (there >= most.getAsLong()) {
            warn(what + ", and %d devices are there".formatted(there), "remove some if none can be made; or " + remedy);
        } else {
            ok(what);
        }
    }

    private void lockedMemory() {
        OptionalLong limit = limit("Max locked memory");
        if (has(CAP_IPC_LOCK) || limit.isEmpty()) {
            ok("memory can be locked without a limit");
            return;
        }
        long bytes = limit.getAsLong();
        String needs = "a queue of the defaults needs " + Size.text(QUEUE_BYTES);
        String raise = "ulimit -l unlimited; systemd: LimitMEMLOCK=infinity";
        if (bytes >= QUEUE_BYTES) {
            warn(Size.text(bytes) + " of memory can be locked", needs + "; for more: " + raise);
        } else if (bytes >= SMALL_QUEUE_BYTES) {
            warn("only " + Size.text(bytes) + " of memory can be locked", needs + ", one with " + SMALL_QUEUE + " only "
                    + Size.text(SMALL_QUEUE_BYTES) + "; for more: " + raise);
        } else {
            bad("only " + Size.text(bytes) + " of memory can be locked", needs + ", one with " + SMALL_QUEUE + " still "
                    + Size.text(SMALL_QUEUE_BYTES) + "; " + raise);
        }
    }

    private void descriptors() {
        room(Needed.DESCRIPTORS, limits(limit("Max open files"), "RLIMIT_NOFILE", "ulimit -n 65536; systemd: LimitNOFILE=65536"));
    }

    /** Each of these limits is one on all threads of a user, a machine or a cgroup. */
    private void threads() {
        List<Limit> limits = new ArrayList<>(groupLimits());
        if (!has(CAP_SYS_ADMIN) && !has(CAP_SYS_RESOURCE)) {           // copy_process() of kernel/fork.c exempts who has one of them
            limits.addAll(limits(limit("Max processes"), "RLIMIT_NPROC", "ulimit -u 65536; systemd: LimitNPROC=65536"));
        }
        limits.addAll(limits(number(read("proc/sys/kernel/threads-max")), "kernel.threads-max", "sysctl kernel.threads-max=131072"));
        room(Needed.THREADS, limits);
    }

    /** What is left in the cgroups that this process is in: each counts those below it, too. */
    private List<Limit> groupLimits() {
        List<Limit> limits = new ArrayList<>();
        for (String line : read("proc/self/cgroup").orElse("").lines().toList()) {
            String[] hierarchy = line.split(":", 3);                   // cgroups(7): number, controllers, path; version 2 names none
            if (hierarchy.length < 3 || !(hierarchy[1].isEmpty() || hierarchy[1].equals("pids"))) continue;
            Path top = root.resolve("sys/fs/cgroup").resolve(hierarchy[1]);
            Path group = top.resolve(hierarchy[2].substring(1)).normalize();
            for (; group != null && group.startsWith(top); group = group.getParent()) {
                long threads = number(read(group.resolve("pids.current"))).orElse(0);
                OptionalLong most = number(read(group.resolve("pids.max")));
                if (most.isPresent()) limits.add(new Limit(most.getAsLong() - threads, "pids.max of its cgroup",
                        "systemd: TasksMax=infinity; docker, podman: --pids-limit -1"));
            }
        }
        return limits;
    }

    private void mappings() {
        room(Needed.MAPPINGS, limits(number(read("proc/sys/vm/max_map_count")), "vm.max_map_count", "sysctl vm.max_map_count=262144"));
    }

    private static List<Limit> limits(OptionalLong left, String name, String remedy) {
        return left.isEmpty() ? List.of() : List.of(new Limit(left.getAsLong(), name, remedy));
    }

    /** For how many devices the narrowest of these is wide enough. */
    private void room(Needed needed, List<Limit> limits) {
        String name = needed.name().toLowerCase(java.util.Locale.ROOT);
        Optional<Limit> narrowest = limits.stream().min(Comparator.comparingLong(Limit::left));
        if (narrowest.isEmpty()) {
            ok(name + " without a limit");
            return;
        }
        Limit limit = narrowest.get();
        long devices = Math.max(0, (limit.left() - needed.before) / needed.each);
        String what = "%d %s (%s)".formatted(limit.left(), name, limit.name());
        if (devices == 0) {
            bad("only " + what, "a server needs about %d, and each device %d: %s".formatted(needed.before, needed.each, limit.remedy()));
        } else if (devices < MANY_DEVICES) {
            warn("%s, for about %d devices in one process".formatted(what, devices), "for more: " + limit.remedy());
        } else {
            ok("%s, for about %d devices in one process".formatted(what, devices));
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

    /** The soft one, of {@code /proc/self/limits}; empty if there is none. */
    private OptionalLong limit(String name) {
        Matcher soft = Pattern.compile(name + "\\s+(\\S+)").matcher(read("proc/self/limits").orElse(""));
        return soft.find() ? number(Optional.of(soft.group(1))) : OptionalLong.empty();
    }

    /** Empty for words such as {@code max} and {@code unlimited}, too. */
    private static OptionalLong number(Optional<String> text) {
        return text.map(String::strip).filter(digits -> digits.matches("\\d{1,18}"))
                .map(digits -> OptionalLong.of(Long.parseLong(digits))).orElse(OptionalLong.empty());
    }

    private long count(String folder) {
        try (Stream<Path> entries = Files.list(root.resolve(folder))) {
            return entries.count();
        } catch (IOException e) {
            return 0;
        }
    }

    private Optional<String> read(String file) {
        return read(root.resolve(file));
    }

    /**
     * Nothing if it is not there, or not for us: what cannot be looked at is no reason to look at nothing else. Not by {@link
     * Files#readString}, which begins with one byte: of a number in {@code /proc/sys} only the first read tells anything.
     */
    private static Optional<String> read(Path file) {
        try (InputStream stream = Files.newInputStream(file)) {
            return Optional.of(new String(stream.readAllBytes(), StandardCharsets.ISO_8859_1));
        } catch (IOException e) {
            return Optional.empty();
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
