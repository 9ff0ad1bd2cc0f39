package io.reactorublk.samples.cli;

import java.io.BufferedReader;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import reactor.core.Disposable;
import reactor.core.scheduler.Schedulers;

/** A socket between two processes that speak in lines. That the other one has ended is an answer as well, and no error. */
final class Lines implements AutoCloseable {

    /** Longer than anything that is said: who says more without an end has not understood. */
    private static final int LONGEST = 4096;

    private final SocketChannel channel;
    private final BufferedReader reader;

    Lines(SocketChannel channel) {
        this.channel = channel;
        reader = new BufferedReader(Channels.newReader(channel, StandardCharsets.UTF_8));
    }

    /** To who listens there; empty if nobody does: there is no such socket, or only that of a process that has died. */
    static Optional<Lines> to(Path socket) {
        try {
            return Optional.of(new Lines(SocketChannel.open(UnixDomainSocketAddress.of(socket))));
        } catch (IOException nobody) {
            return Optional.empty();
        }
    }

    /** Waits for the other one; null if it has ended, or makes no sense. */
    @Nullable String read() {
        try {
            StringBuilder line = new StringBuilder();
            for (int next = reader.read(); next >= 0 && line.length() < LONGEST; next = reader.read()) {
                if (next == '\n') return line.toString();
                line.append((char) next);
            }
        } catch (IOException ended) {
            // As if it had said so.
        }
        return null;
    }

    /** As {@link #read}, but for so long at most: then this is closed, and as if the other one had ended. */
    @Nullable String read(Duration patience) {
        Disposable alarm = Schedulers.parallel().schedule(this::close, patience.toMillis(), TimeUnit.MILLISECONDS);
        try {
            return read();
        } finally {
            alarm.dispose();
        }
    }

    void write(String line) {
        String said = line.substring(0, Math.min(line.length(), LONGEST - 1)).replace('\n', ' ');
        ByteBuffer bytes = StandardCharsets.UTF_8.encode(said + "\n");
        try {
            while (bytes.hasRemaining()) channel.write(bytes);
        } catch (IOException ended) {
            // Who reads next finds out.
        }
    }

    /** Whether we have given up. */
    boolean isClosed() {
        return !channel.isOpen();
    }

    @Override
    public void close() {
        try {
            channel.close();
        } catch (IOException e) {
            // It cannot be used any more, which is all that was wanted.
        }
    }
}
