package io.reactorublk;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import reactor.core.publisher.Mono;

/** A server in a process of its own, to be killed. Its bytes are those of a mapped file, which a dead process has written too. */
final class VictimProcess implements DeviceFixture.Victim {

    private static final String HOLDS = "holds";

    private final Process process;
    private final int id;
    private final MemorySegment content;

    private VictimProcess(Process process, int id, MemorySegment content) {
        this.process = process;
        this.id = id;
        this.content = content;
    }

    /** The process: {@code FILE RECOVERY QUEUES DEPTH MODE}. */
    public static void main(String[] args) throws IOException {
        UblkServer server = UblkServer.create().size(DeviceContract.DEVICE_BYTES).maxIoBytes(DeviceContract.MAX_IO)
                .recovery(Recovery.valueOf(args[1])).queues(Integer.parseInt(args[2])).queueDepth(Integer.parseInt(args[3]))
                .dataMode(DataMode.valueOf(args[4]))
                .serve(new KeptDisk(map(Path.of(args[0])), () -> System.out.println(HOLDS)));
        UblkDevice device = Objects.requireNonNull(server.start().block(LinuxDevices.LIMIT));
        System.out.println(ServerProcess.SERVING + device.path());
        Mono.never().block();
    }

    /** Of the server what a command line can say. */
    static VictimProcess start(UblkServer server) {
        try {
            Path file = Files.createTempFile("kept", ".img");
            try (RandomAccessFile sized = new RandomAccessFile(file.toFile(), "rw")) {
                sized.setLength(DeviceContract.DEVICE_BYTES);
            }
            MemorySegment content = map(file);
            Process process = ServerProcess.start(VictimProcess.class, new String[0], file, server.config().recovery,
                    server.config().queues, server.config().queueDepth, server.config().dataMode);
            int id = Integer.parseInt(ServerProcess.served(process).toString().replaceAll("\\D", ""));
            Files.delete(file);
            return new VictimProcess(process, id, content);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static MemorySegment map(Path file) throws IOException {
        try (RandomAccessFile open = new RandomAccessFile(file.toFile(), "rw")) {
            return open.getChannel().map(FileChannel.MapMode.READ_WRITE, 0, DeviceContract.DEVICE_BYTES, Arena.ofAuto());
        }
    }

    @Override
    public int id() {
        return id;
    }

    @Override
    public MemorySegment content() {
        return content;
    }

    @Override
    public void awaitHeld() {
        try {
            String line = "";
            while (!HOLDS.equals(line)) line = Objects.requireNonNull(process.inputReader().readLine(), "it has ended");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public void kill() {
        process.destroyForcibly();
        try {
            if (!process.waitFor(LinuxDevices.LIMIT.toSeconds(), TimeUnit.SECONDS)) throw new AssertionError("it cannot be killed");
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }
}
