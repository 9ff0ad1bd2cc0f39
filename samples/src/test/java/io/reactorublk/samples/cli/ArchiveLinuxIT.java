package io.reactorublk.samples.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.jr.ob.JSON;
import io.reactorublk.samples.cli.SystemPrograms.Result;
import io.reactorublk.samples.mirror.MirrorMain;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.jar.Attributes;
import java.util.jar.JarFile;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What the build gives to administrators, unpacked as they do it, on a machine with ublk or without. */
class ArchiveLinuxIT {

    private static final Path ARCHIVE = Path.of(System.getProperty("archive"));
    private static final Path JAVA_HOME = Path.of(System.getProperty("java.home"));

    @TempDir
    static Path folder;

    /** {@code /usr/local} elsewhere, at a path that has to be quoted. */
    private static Path local;
    private static Path command;

    /** Of the JVM's classes. */
    @TempDir
    Path cache;

    @BeforeAll
    static void install() throws IOException, InterruptedException {
        local = unpack("usr local");
        command = local.resolve("bin/reactor-ublk");
    }

    private static Path unpack(String name) throws IOException, InterruptedException {
        Path target = Files.createDirectory(folder.resolve(name));
        SystemPrograms.succeed("tar", "-xzf", ARCHIVE.toString(), "-C", target.toString(), "--strip-components=1");
        return target;
    }

    private Result run(Path launcher, String... arguments) throws IOException, InterruptedException {
        List<String> all = new ArrayList<>(List.of("env", "JAVA_HOME=" + JAVA_HOME, "XDG_CACHE_HOME=" + cache, launcher.toString()));
        all.addAll(List.of(arguments));
        return SystemPrograms.run(all.toArray(String[]::new));
    }

    private Set<Path> kept() throws IOException {
        try (Stream<Path> files = Files.list(cache.resolve("reactor-ublk"))) {
            return files.collect(Collectors.toCollection(TreeSet::new));
        }
    }

    private static Path jar(Path installation) {
        return installation.resolve("lib/reactor-ublk/reactor-ublk.jar");
    }

    // ------------------------------------------------------------------------------------------- the command

    @Test
    void theCommandExplainsItselfThroughASymbolicLink() throws IOException, InterruptedException {
        Path link = Files.createSymbolicLink(folder.resolve("link"), Files.createSymbolicLink(folder.resolve("ublk"), command));
        assertThat(run(link, "--help")).satisfies(result -> {
            assertThat(result.status()).as(result.output()).isZero();
            assertThat(result.output()).startsWith("Usage: reactor-ublk ");
        });
    }

    @Test
    void theCommandLooksAtThisMachine() throws IOException, InterruptedException {
        Result doctor = run(command, "doctor", "--output", "json");
        List<Object> findings = JSON.std.listFrom(doctor.output());
        assertThat(findings).isNotEmpty();
        boolean canServe = findings.stream().noneMatch(finding -> finding.toString().contains("level=BAD"));
        assertThat(doctor.status()).as(doctor.output()).isEqualTo(canServe ? 0 : ReactorUblk.FAILED);

        Result list = run(command, "list", "--output", "json");
        if (list.status() == 0) {
            assertThat(JSON.std.listFrom(list.output())).isNotNull();
        } else {
            assertThat(list.output()).startsWith("reactor-ublk: ").contains("/dev/ublk-control");
        }
    }

    @Test
    void anotherInstallationKeepsClassesOfItsOwnAndANewJarReplacesThoseOfTheOld() throws IOException, InterruptedException {
        run(command, "--help");
        Set<Path> first = kept();
        assertThat(first).hasSize(1);

        Path other = unpack("other");
        run(other.resolve("bin/reactor-ublk"), "--help");
        Set<Path> both = kept();
        assertThat(both).hasSize(2).containsAll(first);

        Path same = Files.copy(jar(other), other.resolve("copy"), StandardCopyOption.COPY_ATTRIBUTES);
        Files.move(same, jar(other), StandardCopyOption.REPLACE_EXISTING);
        run(other.resolve("bin/reactor-ublk"), "--help");
        run(command, "--help");
        assertThat(kept()).as("of a jar that only a number of the file system tells from the one before").hasSize(2)
                .containsAll(first).isNotEqualTo(both);
    }

    @Test
    void theJarHasTheOtherProgramToo() throws IOException, InterruptedException {
        assertThat(SystemPrograms.succeed(JAVA_HOME.resolve("bin/java").toString(), "-cp", jar(local).toString(),
                MirrorMain.class.getName(), "--help")).startsWith("Usage: mirror ");
    }

    // ------------------------------------------------------------------------------------------- what is in it

    @Test
    void theJarHasNothingLeftThatWasTrueOfItsPartsAlone() throws IOException {
        try (JarFile all = new JarFile(jar(local).toFile())) {
            assertThat(all.stream().map(ZipEntry::getName)).noneMatch(name -> name.endsWith("module-info.class"))
                    .noneMatch(name -> name.matches("META-INF/[^/]*[.](SF|DSA|RSA|EC)")).noneMatch(name -> name.contains("OSGI-INF"));
            Attributes manifest = all.getManifest().getMainAttributes();
            assertThat(manifest.getValue(Attributes.Name.MAIN_CLASS)).isEqualTo(ReactorUblk.class.getName());
            assertThat(manifest.getValue(Attributes.Name.MULTI_RELEASE)).isEqualTo("true");
            assertThat(manifest.getValue("Enable-Native-Access")).isEqualTo("ALL-UNNAMED");
        }
    }

    @Test
    void theLicencesOfItsPartsAreKept() throws IOException {
        try (JarFile all = new JarFile(jar(local).toFile())) {
            assertThat(text(all, "META-INF/LICENSE")).contains("Apache License");
            assertThat(text(all, "META-INF/LICENSE.txt")).contains("QOS.ch").contains("Gil Tene");
            assertThat(text(all, "META-INF/NOTICE")).contains("Micrometer").contains("Jackson");
            assertThat(text(all, "META-INF/THIRD-PARTY.txt")).contains("com.h2database:h2-mvstore").contains("ch.qos.logback:logback-core")
                    .isEqualTo(Files.readString(local.resolve("share/doc/reactor-ublk/THIRD-PARTY.txt")));
        }
        assertThat(local.resolve("share/doc/reactor-ublk/LICENSE")).content().contains("Apache License");
    }

    private static String text(JarFile jar, String name) throws IOException {
        return new String(jar.getInputStream(jar.getEntry(name)).readAllBytes(), UTF_8);
    }

    @Test
    void everyFileIsRootsAndNoFolderIsNamed() throws IOException, InterruptedException {
        List<String> listed = SystemPrograms.succeed("tar", "--numeric-owner", "-tvzf", ARCHIVE.toString()).lines().toList();
        assertThat(listed).allMatch(line -> line.matches("-rwxr-xr-x 0/0 .*/bin/.*|-rw-r--r-- 0/0 .*"))
                .filteredOn(line -> line.startsWith("-rwx")).hasSize(1);
    }

    @ParameterizedTest
    @ValueSource(strings = {"reactor-ublk@.service", "reactor-ublk-owner@.service"})
    void theUnitStartsWhatIsInstalled(String unit) throws IOException {
        Matcher called = Pattern.compile("(?m)^Exec[A-Za-z]*=-?/usr/local/(\\S+)")
                .matcher(Files.readString(local.resolve("lib/systemd/system").resolve(unit)));
        assertThat(called.results().map(match -> match.group(1))).isNotEmpty().allSatisfy(path -> assertThat(local.resolve(path)).isExecutable());
    }

    @Test
    void aRuleThatLetsEverybodyMakeDevicesIsNotWhereUdevLooks() throws IOException {
        try (Stream<Path> rules = Files.list(local.resolve("lib/udev/rules.d"))) {
            assertThat(rules.map(rule -> rule.getFileName().toString())).containsExactly("60-reactor-ublk.rules");
        }
        assertThat(local.resolve("share/doc/reactor-ublk/61-reactor-ublk-unprivileged.rules")).content().contains("\"reactor-ublk-owner@");
    }

    @Test
    void bashCompletesTheCommand() throws IOException, InterruptedException {
        Path completion = local.resolve("share/bash-completion/completions/reactor-ublk");
        SystemPrograms.succeed("bash", "-n", completion.toString());
        assertThat(SystemPrograms.succeed("bash", "-c", "source \"$0\" && complete -p reactor-ublk", completion.toString()))
                .contains("reactor-ublk");
    }

    @Test
    void eachCommandHasAManPage() {
        Path pages = local.resolve("share/man/man1");
        assertThat(pages.resolve("reactor-ublk.1")).content().contains(".SH \"SYNOPSIS\"");
        assertThat(ReactorUblk.commandLine(Machine.linux(), new Signals()).getSubcommands()).allSatisfy((name, sub) ->
                assertThat(sub.getCommandSpec().usageMessage().hidden() || Files.exists(pages.resolve("reactor-ublk-" + name + ".1"))).as(name).isTrue());
    }
}
