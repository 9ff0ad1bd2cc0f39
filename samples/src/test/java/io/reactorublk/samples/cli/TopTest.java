package io.reactorublk.samples.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.jr.ob.JSON;
import io.reactorublk.BlockQueue;
import io.reactorublk.QueueListener;
import io.reactorublk.memory.MemoryUblk;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.assertj.core.api.InstanceOfAssertFactories;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine.Help.Ansi;

/** What it makes of the counters of the block layer, and of what a server tells. */
@Timeout(20)
class TopTest {

    private static final long SECOND = 1_000_000_000L;

    @TempDir
    Path devices;

    private Top top() {
        return new Top(devices, id -> Optional.empty());
    }

    private void stat(String device, String counters) throws IOException {
        Files.createDirectories(devices.resolve(device));
        Files.writeString(devices.resolve(device).resolve("stat"), counters + "\n");
    }

    @Test
    void ratesAreOfTheTimeBetweenTwoLooks() throws IOException {
        stat("ublkb3", "100 0 800 5 10 0 160 5 0 9 10 1 0 8 0 2 1");
        stat("sda", "1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1");
        try (Top top = top()) {
            assertThat(top.look(SECOND)).as("nothing to compare with yet").isEmpty();

            stat("ublkb3", "  300 0 2848 9 14 0 192 9 7 9 10 5 0 8 0 12 1");
            stat("ublkb10", "1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1");
            List<Top.Device> looked = top.look(3 * SECOND);
            assertThat(looked).containsExactly(
                    new Top.Device(3, "/dev/ublkb3", 2 * SECOND, 200, 2048 * 512, 4, 32 * 512, 4, 10, 7, null, List.of()));
            assertThat(Top.table(looked)).satisfiesExactly(
                    heading -> assertThat(heading).isEqualTo(Top.HEADING),
                    row -> assertThat(row).containsExactly("/dev/ublkb3", "all", "100", "512K", "2", "8K", "2", "5", "7",
                            "", "", "", "", "", "", "", ""));
        }
    }

    @Test
    void aDeviceThatWentAwayIsLeftOut() throws IOException {
        stat("ublkb0", "1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1");
        try (Top top = top()) {
            top.look(0);
            Files.delete(devices.resolve("ublkb0/stat"));
            assertThat(top.look(SECOND)).isEmpty();
        }
    }

    /** The one has been read from, and the other not yet. */
    @Test
    void aDeviceThatHasGotTheNumberOfAnotherIsNotComparedWithIt() throws IOException {
        stat("ublkb0", "100 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1");
        try (Top top = top()) {
            top.look(0);
            stat("ublkb0", "1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1");
            assertThat(top.look(SECOND)).isEmpty();
        }
    }

    /** It was opened, and then it was gone: ENODEV. */
    @Test
    void whatCannotBeReadIsLeftOut() throws IOException {
        Files.createDirectories(devices.resolve("ublkb0/stat"));
        try (Top top = top()) {
            assertThat(top.look(0)).isEmpty();
        }
    }

    @Test
    void severalQueuesHaveARowEach() {
        Activity all = new Activity(Activity.ALL, 2 * SECOND, 200, 200 * 4096, 2, 8192, 0, 4, 2, 85_000, 1_250_000, 12_000_000_000L,
                12_500_000_000L, 5, 10, 25, 8, 24, 6);
        Activity one = new Activity(0, 2 * SECOND, 200, 200 * 4096, 0, 0, 0, 0, 0, 999, 15_000_000, 1_500_000_000L, 1_500_000_000L, 1, 0, 0, 0, 0, 0);
        Activity other = new Activity(1, 2 * SECOND, 0, 0, 2, 8192, 0, 4, 2, 0, 0, 0, 0, 4, 10, 25, 8, 24, 6);
        List<List<String>> rows = Top.table(List.of(
                new Top.Device(3, "/dev/ublkb3", 2 * SECOND, 20, 81920, 4, 16384, 4, 10, 7, all, List.of(one, other))));
        assertThat(rows.subList(1, 4)).containsExactly(
                List.of("/dev/ublkb3", "all", "10", "40K", "2", "8K", "2", "5", "7", "1", "85us", "1.3ms", "12s", "5", "2.5", "3.0", "3"),
                List.of("", "0", "100", "400K", "0", "0", "0", "0", "", "0", "0us", "15ms", "1.5s", "1", "0.0", "0.0", "0"),
                List.of("", "1", "0", "0", "1", "4K", "0", "2", "", "1", "-", "-", "-", "4", "2.5", "3.0", "3"));
    }

    @Test
    void whatAServerTellsIsShownToProgramsToo() throws IOException {
        stat("ublkb0", "1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1");
        Path path = devices.resolve("ublkb0.sock");
        Statistics statistics = new Statistics();
        try (MemoryUblk ublk = MemoryUblk.create(); Door door = Door.open(path, statistics, false, bytes -> {}); Top top = new Top(devices, id -> Lines.to(path).map(Watch::new))) {
            BlockQueue queue = ublk.queue(8).queue();
            QueueListener counters = statistics.forQueue(queue);
            top.look(0);
            counters.onFetched(queue, 3);
            List<Top.Device> looked = top.look(SECOND);
            StringWriter text = new StringWriter();
            new Output(Output.Format.json, new PrintWriter(text, true), Ansi.OFF).json(looked);
            assertThat(JSON.std.listFrom(text.toString())).singleElement().asInstanceOf(InstanceOfAssertFactories.MAP)
                    .containsEntry("path", "/dev/ublkb0").containsEntry("nanos", (int) SECOND)
                    .satisfies(device -> assertThat((Map<?, ?>) device.get("all")).extracting("queue", "tags", "fetches").containsExactly(-1, 3, 1))
                    .satisfies(device -> assertThat((List<?>) device.get("queues")).hasSize(1));
        }
    }

    /** As one does that was stopped: who connects waits, and nobody answers. */
    @Test
    void aServerThatSaysNothingIsLeftOut() throws IOException {
        stat("ublkb0", "1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1");
        Path path = devices.resolve("ublkb0.sock");
        try (ServerSocketChannel silent = ServerSocketChannel.open(StandardProtocolFamily.UNIX); Top top = new Top(devices, id -> Lines.to(path).map(Watch::new))) {
            silent.bind(UnixDomainSocketAddress.of(path));
            top.look(0);
            assertThat(top.look(SECOND)).singleElement().extracting(Top.Device::all).isNull();
        }
    }
}
