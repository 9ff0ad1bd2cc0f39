package io.reactorublk.memory;

import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.DemandTest;
import io.reactorublk.docs.KitTest;
import io.reactorublk.target.RamTargetTest;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** Nothing that a user's unit test needs may be native: the examples run in a JVM that forbids it. */
class NativeAccessTest {

    @Test
    void theExamplesRunWithNativeAccessDenied() throws IOException, InterruptedException {
        Process process = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--illegal-native-access=deny", "-cp", classPath(), "org.junit.platform.console.ConsoleLauncher", "execute",
                "--disable-banner", "--details=tree", "--disable-ansi-colors",
                "--select-class", KitTest.class.getName(), "--select-class", DemandTest.class.getName(),
                "--select-class", RamTargetTest.class.getName())
                .redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor()).as(output).isZero();
        assertThat(output).contains(" 0 tests failed").doesNotContain(" 0 tests successful");
    }

    /** Without BlockHound, which brings native code of its own. */
    private static String classPath() {
        String all = System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
        return Arrays.stream(all.split(File.pathSeparator)).filter(entry -> !entry.contains("blockhound"))
                .collect(Collectors.joining(File.pathSeparator));
    }
}
