package io.reactorublk.samples.cli;

import io.reactorublk.DeviceStatus;
import io.reactorublk.Feature;
import io.reactorublk.UblkControl;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.KernelException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import picocli.AutoComplete;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Help.Ansi;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;
import reactor.core.publisher.Mono;

/** The command, and those of its commands that look at devices and change them, whoever serves them. */
@Command(name = "reactor-ublk", sortOptions = false, usageHelpAutoWidth = true,
        subcommands = {AddCommand.class, RecoverCommand.class, UpgradeCommand.class},
        description = {"Block devices served from Java: makes them, shows and changes those of this machine.", ""},
        footer = {"", "Exit status: 0 done, 1 failed, 2 not understood, 130 interrupted. Sizes are such as 512M or 4G."})
public final class ReactorUblk implements Runnable {

    static final int FAILED = 1;
    static final int INTERRUPTED = 130;

    private static final Duration DEADLINE = Duration.ofSeconds(20);

    /** A terminal's whole screen. */
    private static final String CLEAR = "\033[H\033[2J\033[3J";

    private static final Pattern NODE = Pattern.compile("(?<name>ublk[bc](?<id>\\d{1,7}))(-\\d+)?");

    private final Machine machine;
    private final Signals signals;

    @Spec
    private @Nullable CommandSpec spec;

    @Option(names = {"-o", "--output"}, paramLabel = "text|json", defaultValue = "text", scope = ScopeType.INHERIT,
            description = "What results look like; ${DEFAULT-VALUE} if not given.")
    private Output.Format format = Output.Format.text;

    @Option(names = {"-v", "--verbose"}, scope = ScopeType.INHERIT, description = "Of what fails show the whole stack trace.")
    private boolean verbose;

    @Option(names = {"-h", "--help"}, usageHelp = true, scope = ScopeType.INHERIT, description = "Show this.")
    @SuppressWarnings("UnusedVariable") // picocli looks at it
    private boolean help;

    ReactorUblk(Machine machine, Signals signals) {
        this.machine = machine;
        this.signals = signals;
    }

    /** Runs it. */
    public static void main(String[] args) {
        Signals signals = new Signals();
        signals.listen();
        int status = FAILED;                                           // after an Error
        try {
            status = commandLine(Machine.linux(), signals).execute(args);
        } finally {
            signals.end(status);
        }
        System.exit(status);
    }

    static CommandLine commandLine(Machine machine, Signals signals) {
        ReactorUblk root = new ReactorUblk(machine, signals);
        return new CommandLine(root).setCaseInsensitiveEnumValuesAllowed(true)
                .setExecutionExceptionHandler((e, command, parsed) -> root.failed(e, command));
    }

    /** What went wrong and what helps, and nothing more unless somebody asks for it. */
    private int failed(Exception e, CommandLine command) {
        tell(message(e));
        if (verbose) e.printStackTrace(command.getErr());
        command.getErr().flush();
        return e instanceof IllegalArgumentException ? CommandLine.ExitCode.USAGE : FAILED;   // a value that can never work
    }

    /** What is no result. */
    void tell(String what) {
        CommandLine command = commandLine();
        command.getErr().println(command.getColorScheme().errorText("reactor-ublk: " + what));
        command.getErr().flush();
    }

    private static String message(Exception e) {
        if (e instanceof KernelException || e instanceof FailedException || e instanceof IllegalArgumentException) {
            return String.valueOf(e.getMessage());
        }
        Throwable cause = e instanceof UncheckedIOException io && io.getCause() != null ? io.getCause() : e;
        return switch (cause) {
            case NoSuchFileException missing -> missing.getFile() + " does not exist";
            case FileAlreadyExistsException there -> there.getFile() + " exists already; name another, or leave --create out";
            case AccessDeniedException denied -> denied.getFile() + ": permission denied";
            default -> e + " (--verbose tells where)";
        };
    }

    @Override
    public void run() {
        throw new CommandLine.ParameterException(commandLine(), "What shall be done? A command is missing.");
    }

    // ------------------------------------------------------------------------------------------- looking

    @Command(description = "Lists the ublk devices of this machine, whoever serves them.")
    void list() {
        List<Described> devices = Objects.requireNonNull(with(control ->
                control.list().flatMapSequential(status -> Described.of(control, status)).collectList()));
        Output output = output();
        if (output.isJson()) {
            output.json(devices.stream().map(Described::json).toList());
        } else if (devices.isEmpty()) {
            output.say("There is no ublk device on this machine.");
        } else {
            List<List<String>> rows = new ArrayList<>(List.of(Described.HEADING));
            for (Described device : devices) rows.add(device.row());
            output.table(rows);
        }
    }

    @Command(description = "Shows all that the driver knows of a device.")
    void inspect(@Parameters(paramLabel = "ID", description = "N of /dev/ublkbN.") int id) {
        Described device = Objects.requireNonNull(with(control ->
                control.inspect(id).flatMap(status -> Described.of(control, status))));
        Output output = output();
        if (output.isJson()) {
            output.json(device.json());
        } else {
            output.facts(device.facts());
        }
    }

    @Command(description = "Shows what the ublk driver of this kernel can do.")
    void features() {
        Set<Feature> offered = Objects.requireNonNull(with(UblkControl::features));
        Output output = output();
        if (output.isJson()) {
            Map<String, Boolean> all = new LinkedHashMap<>();
            for (Feature feature : Feature.values()) all.put(feature.name(), offered.contains(feature));
            output.json(all);
            return;
        }
        List<List<String>> rows = new ArrayList<>(List.of(List.of("FEATURE", "HERE", "SINCE")));
        for (Feature feature : Feature.values()) {
            rows.add(List.of(feature.name(), offered.contains(feature) ? "@|green yes|@" : "@|yellow no|@", feature.since()));
        }
        output.table(rows);
    }

    @Command(description = {"Shows again and again what the devices do, until Ctrl-C.", "Of devices that this command serves also what each queue does: "
            + "for how long requests were out, how many are now (TAGS), how many came (FETCH) and left (COMMIT) at a time, and how "
            + "often they had to wait because the target had asked for none (STARVED)."})
    void top(@Option(names = "--interval", paramLabel = "SECONDS", defaultValue = "1",
                    description = "Between two looks; ${DEFAULT-VALUE} if not given.") double intervalSeconds,
            @Option(names = "--count", paramLabel = "N", description = "Only so many looks.") @Nullable Integer count)
            throws IOException, InterruptedException {
        if (!(intervalSeconds >= 0.1 && intervalSeconds <= 3600)) {
            throw new IllegalArgumentException("an interval of " + intervalSeconds + " s: from 0.1 to 3600 are possible");
        }
        Output output = output();
        try (Top top = new Top(Path.of("/sys/block"), id -> machine.door(id).map(Watch::new))) {
            top.look(System.nanoTime());
            for (int looks = 0; count == null || looks < count; looks++) {
                Thread.sleep(Math.round(intervalSeconds * 1000));
                List<Top.Device> devices = top.look(System.nanoTime());
                if (output.isJson()) {
                    output.json(devices);
                } else {
                    if (Ansi.AUTO.enabled()) output.say(CLEAR);
                    output.table(Top.table(devices));
                }
            }
        }
    }

    @Command(description = "Looks whether this machine can serve devices, and says what to change. Exit status 1 if it cannot.")
    int doctor() {
        List<Doctor.Finding> findings = new Doctor(Path.of("/"), machine).look();
        Output output = output();
        if (output.isJson()) {
            output.json(findings.stream().map(Doctor.Finding::json).toList());
        } else {
            for (Doctor.Finding finding : findings) output.say(finding.text());
        }
        return findings.stream().anyMatch(finding -> finding.level() == Doctor.Level.BAD) ? FAILED : CommandLine.ExitCode.OK;
    }

    // ------------------------------------------------------------------------------------------- changing

    @Command(description = "Stops a device for ever. What its users have asked for is answered before.")
    void stop(@Parameters(paramLabel = "ID", description = "N of /dev/ublkbN.") int id,
            @Option(names = "--if-unused", description = "Only if nobody has it open; else the exit status is 1.") boolean ifUnused) {
        if (!ifUnused) {
            with(control -> control.stop(id));
        } else if (!Boolean.TRUE.equals(with(control -> control.stopIfUnused(id)))) {
            throw new FailedException("device %d is in use and was not stopped; unmount it, or stop it without --if-unused"
                    .formatted(id));
        }
        done(id, "stopped");
    }

    @Command(description = "Stops a device and removes all of it, also what a dead server left behind.")
    void remove(@Parameters(paramLabel = "ID", description = "N of /dev/ublkbN.") int id,
            @Option(names = "--if-dead", description = "Only what a server that died has left, where there is no block device; else the exit "
                    + "status is 1.") boolean ifDead) {
        if (ifDead) requireDead(Objects.requireNonNull(with(control -> control.inspect(id))));
        with(control -> control.remove(id));
        done(id, "removed");
    }

    private static void requireDead(DeviceStatus device) {
        if (device.state() == DeviceStatus.State.DEAD) return;
        throw new FailedException("%s is there and was not removed; remove it without --if-dead".formatted(device.path()));
    }

    @Command(description = "Changes the size of a device that is in use. What is behind it must have the new size already.")
    void resize(@Parameters(index = "0", paramLabel = "ID", description = "N of /dev/ublkbN.") int id,
            @Parameters(index = "1", paramLabel = "SIZE", converter = Size.class, description = "Such as 512M or 4G.") long bytes) {
        machine.door(id).ifPresentOrElse(server -> resizeByServer(server, bytes), () -> with(control -> control.resize(id, bytes)));
        done(id, "resized to " + Size.text(bytes));
    }

    /** A server of this command knows what is behind its device, and has to know the size. */
    private static void resizeByServer(Lines server, long bytes) {
        try (server) {
            server.write(Door.RESIZE + bytes);
            String answer = server.read(DEADLINE);
            if (Door.RESIZED.equals(answer)) return;
            throw new FailedException(answer == null ? "its server does not answer; does it stand still?" : answer);
        }
    }

    /** For a unit that a rule of udev wants: what is root's stays root's, and a device that is gone already needs nothing. */
    @Command(hidden = true, description = "Gives a node of an unprivileged device to the user who has made that.")
    void give(@Parameters(paramLabel = "NODE", description = "ublkcN or ublkbN; -M behind it says nothing here.") String name) throws IOException {
        Matcher node = NODE.matcher(name);
        if (!node.matches()) throw new IllegalArgumentException(name + ": ublkcN or ublkbN is a node");
        // Held before we ask whose it is: should another device get the number meanwhile, that has another node.
        try (Node held = machine.node(node.group("name"))) {
            DeviceStatus device = Objects.requireNonNull(with(control -> control.inspect(Integer.parseInt(node.group("id")))));
            if (device.features().contains(Feature.UNPRIVILEGED_DEV)) held.giveTo(device.ownerUid(), device.ownerGid());
        } catch (KernelException e) {
            if (e.errno() != Errno.ENOENT && e.errno() != Errno.ENODEV) throw e;
        }
    }

    private void done(int id, String what) {
        Output output = output();
        if (output.isJson()) {
            output.json(Map.of("id", id));
        } else {
            output.say("/dev/ublkb%d: %s".formatted(id, what));
        }
    }

    @Command(name = "generate-completion",
            description = "Prints what makes bash and zsh complete these commands: source <(reactor-ublk generate-completion)")
    void generateCompletion() {
        commandLine().getOut().print(AutoComplete.bash("reactor-ublk", commandLine()));
        commandLine().getOut().flush();
    }

    // ------------------------------------------------------------------------------------------- what they need

    <T> @Nullable T with(Function<UblkControl, Mono<T>> command) {
        try (UblkControl control = UblkControl.create(machine.kernel(), DEADLINE)) {
            return machine.await(command.apply(control));
        }
    }

    private CommandLine commandLine() {
        return Objects.requireNonNull(spec).commandLine();
    }

    Output output() {
        return new Output(format, commandLine().getOut(), Ansi.AUTO);
    }

    Signals signals() {
        return signals;
    }

    Machine machine() {
        return machine;
    }
}
