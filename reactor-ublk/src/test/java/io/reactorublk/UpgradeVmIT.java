package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ThreadLocalRandom;
import java.util.stream.Stream;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import reactor.core.Disposable;

/**
 * fio writes and verifies while the server under it is replaced again and again, or killed: it sees pauses, and no error.
 *
 * <p>How often: {@code -Dvm.args=-Dupgrades=100} within one process, {@code -Dupgrades.processes=100} between processes,
 * {@code -Dupgrades.deaths=all} at every step of a start, a recovery, a hand-over and a stop, and at some of a rehearsal; else at
 * some steps, others each time, as it says.
 */
class UpgradeVmIT extends LinuxDeviceTest {

    private static final int UPGRADES = Integer.getInteger("upgrades", 8);
    private static final int PROCESSES = Integer.getInteger("upgrades.processes", 1);
    private static final boolean ALL_DEATHS = "all".equals(System.getProperty("upgrades.deaths"));
    private static final int ID = 9;
    private static final int KILLED = 128 + 9;
    private static final Duration A_LITTLE = Duration.ofMillis(100);

    /** Where a supervised server is killed while its device is in use: by us while it serves, or by itself at this step. */
    private static final String SERVING = "serving";
    private static final List<String> EVERY_DEATH = join(List.of(SERVING), Steps.RECOVERY, List.of(SERVING, SERVING));

    /** Where each of those ends that take over: nowhere, or it is killed. */
    private static final String NOWHERE = "nowhere";
    private static final List<String> UPGRADES_ALONE = Collections.nCopies(PROCESSES, NOWHERE);
    private static final List<String> UPGRADE_DEATHS = join(rehearsing("character device", "start", "back from start"),
            List.of("recovery", "end of the recovery"), Steps.back(Steps.RECOVERY));
    private static final List<String> EVERY_UPGRADE_DEATH = join(UPGRADE_DEATHS, UPGRADES_ALONE);

    /** Where a supervised server is killed whose device nobody uses. */
    private static final List<String> EVERY_UNUSED_DEATH = join(Steps.START, Steps.back(Steps.START));

    /** One of them. */
    private static List<String> any(List<String> steps) {
        return List.of(steps.get(ThreadLocalRandom.current().nextInt(steps.size())));
    }

    @SafeVarargs
    private static List<String> join(List<String>... lists) {
        List<String> all = new ArrayList<>();
        for (List<String> list : lists) all.addAll(list);
        return List.copyOf(all);
    }

    private static List<String> rehearsing(String... steps) {
        return Stream.of(steps).map(UpgradeProcess.REHEARSING::concat).toList();
    }

    @TempDir
    Path directory;

    private final List<Duration> pauses = new ArrayList<>();

    private Path file() throws IOException {
        Path path = Files.createTempFile(directory, "disk", ".img");
        try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
            file.setLength(UpgradeProcess.DEVICE_BYTES);
        }
        return path;
    }

    private void printPauses(String what, Duration longestWrite) {
        pauses.sort(null);
        System.out.printf("%s under load, %d times: a pause of %d ms at least, %d in the middle, %d at most; "
                        + "the longest write took %d ms%n", what, pauses.size(), pauses.getFirst().toMillis(),
                pauses.get(pauses.size() / 2).toMillis(), pauses.getLast().toMillis(), longestWrite.toMillis());
    }

    private static Duration since(long startNanos) {
        return Duration.ofNanos(System.nanoTime() - startNanos);
    }

    @Test
    void manyServersServeOneDevice() throws IOException {
        UblkServer server = UpgradeProcess.server(file());
        UblkDevice device = start(server);
        try (FioLoad load = new FioLoad(device.path(), UpgradeProcess.DEVICE_BYTES)) {
            for (int i = 0; i < UPGRADES; i++) {
                linux.elapse(A_LITTLE);                                // for the load to get somewhere
                long start = System.nanoTime();
                linux.get(device.handOver());
                device = track(Objects.requireNonNull(linux.get(server.recover(device.id()))));
                pauses.add(since(start));
                assertThat(load.goesOn()).as("fio goes on").isTrue();
            }
            linux.elapse(A_LITTLE);
            printPauses("handed over within a process", load.assertVerified());
        }
        stop(device);
    }

    // ------------------------------------------------------------------------------------------- between processes

    private final List<Process> servers = new CopyOnWriteArrayList<>();
    private final List<Disposable> supervisions = new ArrayList<>();
    private Path disk;
    private Path deaths;

    @AfterEach
    void killServers() {
        supervisions.forEach(Disposable::dispose);
        servers.forEach(Process::destroyForcibly);
    }

    /** Those that are started from now on are killed there, one after the other. */
    private void die(List<String> steps) throws IOException {
        disk = file();
        deaths = Files.write(directory.resolve("deaths"), steps);
    }

    /** Keeps a server running. */
    private Disposable supervise() {
        Disposable supervision = Supervisor.of(command(UpgradeProcess.RECOVER, DataMode.USER_COPY)).backoff(A_LITTLE, A_LITTLE.multipliedBy(4))
                .run().subscribe(servers::add);
        supervisions.add(supervision);
        await(1);
        return supervision;
    }

    private ProcessBuilder command(String what, DataMode mode) {
        return UpgradeProcess.command(what, disk, ID, mode, deaths);
    }

    private void await(int count) {
        Awaitility.await().atMost(UpgradeProcess.LIMIT).until(() -> servers.size() == count);
    }

    /** Until the supervisor has started the next one in its place. */
    private void awaitDeath(String step) {
        Process server = servers.getLast();
        await(servers.size() + 1);
        assertKilled(server, step);
    }

    private static void assertKilled(Process server, String step) {
        Awaitility.await().atMost(UpgradeProcess.LIMIT).until(() -> !server.isAlive());
        Shell.Result end = Shell.end(server);
        assertThat(end.status()).as("%s: %s", step, end.output()).isEqualTo(KILLED);
        if (ALL_DEATHS) System.out.println("killed at " + step);       // it takes its time
    }

    private static void remove(Process server) throws IOException {
        UpgradeProcess.tell(server, UpgradeProcess.REMOVE);
    }

    private static void assertEndsWell(Process server) {
        assertThat(Shell.end(server)).extracting(Shell.Result::status).isEqualTo(0);
    }

    @Test
    void aServerIsKilledAndAnotherUpgradedAndNobodyNotices() throws IOException {
        int kind = ThreadLocalRandom.current().nextInt(3);             // a JVM takes long to start: not of each kind in each run
        if (ALL_DEATHS || kind == 0) startAndStop(ALL_DEATHS ? EVERY_UNUSED_DEATH : any(EVERY_UNUSED_DEATH));
        List<String> kills = ALL_DEATHS ? EVERY_DEATH : kind == 1 ? join(List.of(SERVING), any(Steps.RECOVERY)) : List.of(SERVING);
        List<String> upgrades = ALL_DEATHS ? EVERY_UPGRADE_DEATH : kind == 2 ? join(any(UPGRADE_DEATHS), UPGRADES_ALONE) : UPGRADES_ALONE;
        System.out.printf("killed at %s and, upgraded, at %s; %d upgrades are not disturbed%n", kills,
                upgrades.stream().filter(step -> !step.equals(NOWHERE)).toList(), PROCESSES);
        die(join(kills, List.of(NOWHERE), upgrades));
        Disposable supervision = supervise();
        try (FioLoad load = new FioLoad(ServerProcess.served(servers.getFirst()), UpgradeProcess.DEVICE_BYTES)) {
            for (String step : kills) {
                if (step.equals(SERVING)) {
                    if (servers.size() > 1) ServerProcess.served(servers.getLast());   // of the first we know
                    linux.elapse(A_LITTLE);
                    servers.getLast().toHandle().destroyForcibly();
                }
                awaitDeath(step);
                assertThat(load.goesOn()).as("fio goes on").isTrue();
            }
            ServerProcess.served(servers.getLast());
            upgrade(upgrades, load);
            linux.elapse(A_LITTLE);
            printPauses("killed %d times, and then handed over to another process".formatted(kills.size()), load.assertVerified());
        }
        remove(servers.getLast());
        assertEndsWell(servers.getLast());
        linux.await(supervision::isDisposed);                          // the one that ended well was the last it had
        assertThat(log.warnings()).as("what the supervisor says").hasSize(kills.size());
    }

    /** One after the other gets ready, before the last lets go, and takes over, unless it dies before; or dies when it is to let go. */
    private void upgrade(List<String> steps, FioLoad load) throws IOException {
        String last = NOWHERE;
        long start = 0;
        boolean served = true;
        int mode = 0;
        for (String step : steps) {
            Process next = command(UpgradeProcess.UPGRADE, mode++ % 2 == 0 ? DataMode.LATE_COPY : DataMode.USER_COPY).start();
            if (step.startsWith(UpgradeProcess.REHEARSING)) {
                assertKilled(next, step);
                removeRehearsals();
                continue;
            }
            UpgradeProcess.hear(next, UpgradeProcess.READY);
            if (served) {
                start = System.nanoTime();
                handOver(servers.getLast(), last);
            }
            UpgradeProcess.tell(next, UpgradeProcess.TAKE_OVER);
            served = !Steps.RECOVERY.contains(step);
            if (served) {
                assertThat(ServerProcess.served(next)).hasToString("/dev/ublkb" + ID);
                pauses.add(since(start));
                servers.add(next);
                last = step;
            } else {
                assertKilled(next, step);
            }
            assertThat(load.goesOn()).as("fio goes on").isTrue();
        }
    }

    private static void handOver(Process server, String step) throws IOException {
        boolean dies = Steps.isBack(step);
        assertThat(UpgradeProcess.handsOver(server)).as(step).isNotEqualTo(dies);
        if (dies) {
            assertKilled(server, step);
        } else {
            assertEndsWell(server);
        }
    }

    /** What is left of the device of a process that died with it. */
    private void removeRehearsals() {
        try (UblkControl control = UblkControl.create()) {
            for (DeviceStatus device : Objects.requireNonNull(linux.get(control.list().collectList()))) {
                if (device.id() == ID) continue;
                linux.await(() -> Objects.requireNonNull(linux.get(control.inspect(device.id()))).state() == DeviceStatus.State.DEAD);
                linux.get(control.remove(device.id()));
            }
        }
    }

    /** Of those that die when they start or stop each is followed by another. */
    private void startAndStop(List<String> steps) throws IOException {
        System.out.println("killed, unused, at " + steps);
        die(steps);
        Disposable supervision = supervise();
        byte[] written = new byte[DeviceContract.BLOCK];
        for (String step : steps) {
            if (Steps.isBack(step)) {
                written = write(ServerProcess.served(servers.getLast()), written);
                remove(servers.getLast());
            }
            awaitDeath(step);
        }
        write(ServerProcess.served(servers.getLast()), written);
        remove(servers.getLast());
        assertEndsWell(servers.getLast());
        linux.await(supervision::isDisposed);
        assertThat(log.takeWarnings()).as("what the supervisor says").hasSize(steps.size());
        servers.clear();
    }

    /** Something else, where it finds what the last one has acknowledged. */
    private byte[] write(Path device, byte[] before) {
        byte[] next = DeviceContract.filled(DeviceContract.BLOCK, servers.size());
        Disk opened = new LinuxDisk(device);
        assertThat(linux.get(opened.read(DeviceContract.BLOCK, DeviceContract.BLOCK))).isEqualTo(before);
        linux.get(opened.write(DeviceContract.BLOCK, next));
        opened.close();
        return next;
    }
}
