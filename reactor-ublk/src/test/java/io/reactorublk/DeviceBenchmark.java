package io.reactorublk;

import com.sun.management.ThreadMXBean;
import io.reactorublk.target.NullTarget;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.management.JMException;
import javax.management.ObjectName;
import org.jspecify.annotations.Nullable;

/**
 * What a request costs in a whole device: fio reads 4 KiB at random from a {@link NullTarget}, which answers at once.
 *
 * <p>For each depth: requests a second; requests per completion of the fetch and per commit, which say how well the batch
 * protocol is used; system calls per request; and the bytes that the loop's thread allocates per request. The last four do
 * not depend on the machine. That the code was compiled to the end is part of the result, since only then objects that do
 * not escape are no longer allocated.
 *
 * <p>Not JMH, which could start no device: {@link #main} starts itself again as root on a kernel that has ublk.
 */
public final class DeviceBenchmark {

    private static final int[] DEPTHS = {1, 64};
    private static final int SECONDS = Integer.getInteger("seconds", 10);
    private static final int WARM_UP_SECONDS = 5;
    private static final int WARM_UPS_AT_MOST = 24;
    /** A JVM that compiled for less than this while it warmed up has done with what is hot. */
    private static final long QUIET_MILLIS = 100;
    /** How long fio runs before and after the time that is measured. */
    private static final int MARGIN_SECONDS = 2;
    private static final int TIMEOUT_SECONDS = 600;
    private static final List<String> HOT = List.of("EventLoop.turn", "UblkQueue.beforeEnter", "UblkQueue.onFetched", "UblkQueue.onCommitted");

    private DeviceBenchmark() {}

    /** With "here" on this very kernel; else through {@code with-ublk}. */
    public static void main(String[] args) throws Exception {
        if (args.length > 0 && args[0].equals("here")) {
            measure();
        } else {
            System.exit(startAsRoot(DeviceBenchmark.class, TIMEOUT_SECONDS, "-Dseconds=" + SECONDS));
        }
    }

    /** Starts a main class with "here", where there is ublk. */
    static int startAsRoot(Class<?> main, int timeoutSeconds, String... properties) throws IOException, InterruptedException {
        Path withUblk = Path.of("linux/with-ublk");
        if (!Files.exists(withUblk)) withUblk = Path.of("../reactor-ublk").resolve(withUblk);
        List<String> command = new ArrayList<>(List.of(withUblk.toString(), "--tools", "fio", "--timeout", "" + timeoutSeconds,
                System.getProperty("java.home") + "/bin/java", "-Xmx1g", "--enable-native-access=ALL-UNNAMED"));
        command.addAll(List.of(properties));
        command.addAll(List.of("-cp", System.getProperty("java.class.path"), main.getName(), "here"));
        return new ProcessBuilder(command).inheritIO().start().waitFor();
    }

    private static void measure() throws Exception {
        Observer observer = new Observer();
        UblkDevice device = UblkServer.create().size(1L << 30).listener(observer).serve(new NullTarget()).start()
                .block(Duration.ofSeconds(60));
        try {
            warmUp(device);
            StringBuilder table = new StringBuilder();
            for (int depth : DEPTHS) table.append(row(observer, device, depth));
            System.out.println(conditions());
            System.out.println("depth      IOPS  tags/fetch  tags/commit  enters/request  bytes/request  JIT ms while measured");
            System.out.print(table);
        } finally {
            device.disposeLater().block(Duration.ofSeconds(60));
        }
    }

    /** Until the compiler has nothing left to do: under emulation that takes its time. */
    private static void warmUp(UblkDevice device) throws Exception {
        for (int round = 0; round < WARM_UPS_AT_MOST; round++) {
            long before = compilationMillis();
            for (int depth : DEPTHS) end(fio(device, depth, WARM_UP_SECONDS));
            if (round > 0 && compilationMillis() - before < QUIET_MILLIS) return;
        }
    }

    private static String row(Observer observer, UblkDevice device, int depth) throws Exception {
        Process fio = fio(device, depth, SECONDS + 2 * MARGIN_SECONDS);
        TimeUnit.SECONDS.sleep(MARGIN_SECONDS);
        Counts before = observer.counts();
        TimeUnit.SECONDS.sleep(SECONDS);
        Counts after = observer.counts();
        end(fio);
        double requests = after.requests - before.requests;
        return String.format(Locale.ROOT, "%5d  %8.0f  %10.2f  %11.2f  %14.3f  %13.1f  %21d%n", depth,
                requests * TimeUnit.SECONDS.toNanos(1) / (after.nanos - before.nanos),
                requests / (after.fetches - before.fetches), requests / (after.commits - before.commits),
                (after.enters - before.enters) / requests, (after.allocatedBytes - before.allocatedBytes) / requests,
                after.compilationMillis - before.compilationMillis);
    }

    private static Process fio(UblkDevice device, int depth, int seconds) throws IOException {
        return new ProcessBuilder("fio", "--name=randread", "--filename=" + device.path(), "--rw=randread", "--bs=4k",
                "--ioengine=libaio", "--direct=1", "--iodepth=" + depth, "--time_based", "--runtime=" + seconds, "--minimal")
                .redirectOutput(ProcessBuilder.Redirect.DISCARD).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    }

    static void end(Process fio) throws InterruptedException {
        int status = fio.waitFor();
        if (status != 0) throw new AssertionError("fio ended with " + status);
    }

    private static String conditions() throws JMException {
        return "Linux " + System.getProperty("os.version") + ", Java " + Runtime.version() + ", "
                + ManagementFactory.getGarbageCollectorMXBeans().getFirst().getName() + "; compiled:" + tiers();
    }

    private static long compilationMillis() {
        return ManagementFactory.getCompilationMXBean().getTotalCompilationTime();
    }

    /** The compiler tier of the methods that matter: 4 is C2; a method that is missing is interpreted, or part of another. */
    private static String tiers() throws JMException {
        String code = (String) ManagementFactory.getPlatformMBeanServer().invoke(
                new ObjectName("com.sun.management:type=DiagnosticCommand"), "compilerCodelist", new Object[0], new String[0]);
        StringBuilder tiers = new StringBuilder();
        for (String method : HOT) {
            int tier = 0;
            Matcher line = Pattern.compile("\\d+ +(\\d) +0 +io\\.reactorublk\\.\\S*" + Pattern.quote(method) + "\\(").matcher(code);
            while (line.find()) tier = Math.max(tier, Integer.parseInt(line.group(1)));
            tiers.append(' ').append(method).append(' ').append(tier == 0 ? "-" : "C" + (tier == 4 ? 2 : 1));
        }
        return tiers.toString();
    }

    /** What had happened at one moment, taken on the loop. */
    record Counts(long nanos, long requests, long fetches, long commits, long enters, long allocatedBytes, long compilationMillis) {}

    /** Counts on the loop and allocates nothing there. */
    static final class Observer implements QueueListener {

        private final ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        private volatile @Nullable BlockQueue queue;
        private long requests;
        private long fetches;
        private long commits;

        @Override
        public void onFetched(BlockQueue queue, int tags) {
            if (this.queue == null) this.queue = queue;
            fetches++;
        }

        @Override
        public void onCommitted(BlockQueue queue, int completions) {
            requests += completions;
            commits++;
        }

        Counts counts() throws Exception {
            BlockQueue observed = queue;
            if (observed == null) throw new AssertionError("nothing was read");
            CompletableFuture<Counts> counts = new CompletableFuture<>();
            observed.loop().execute(() -> counts.complete(new Counts(System.nanoTime(), requests, fetches, commits,
                    observed.loop().ring().enters(), threads.getCurrentThreadAllocatedBytes(),
                    compilationMillis())));
            return counts.get(60, TimeUnit.SECONDS);
        }
    }
}
