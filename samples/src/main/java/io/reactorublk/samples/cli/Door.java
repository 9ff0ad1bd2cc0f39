package io.reactorublk.samples.cli;

import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;
import reactor.core.Exceptions;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;

/**
 * Where other processes find the one that serves a device, for as long as it does: a socket, which nobody but its owner and root
 * can write to. Who comes is a {@link Successor}, wants to {@link Watch}, or another size for the device, as its first line says.
 */
final class Door implements AutoCloseable {

    /** And so many bytes. */
    static final String RESIZE = "resize ";
    static final String RESIZED = "resized";

    private final Path path;
    private final ServerSocketChannel channel;
    /** Which file it is: when we close, the path may lead to the door of the next server. */
    private final Object file;
    private final Statistics statistics;
    private final boolean handsOver;
    private final LongConsumer resize;
    private Sinks.One<Successor> next = Sinks.one();
    private boolean isAwaited;
    private boolean isAsked;

    private Door(Path path, ServerSocketChannel channel, Statistics statistics, boolean handsOver, LongConsumer resize) throws IOException {
        this.path = path;
        this.channel = channel;
        this.statistics = statistics;
        this.handsOver = handsOver;
        this.resize = resize;
        file = fileAt(path);
    }

    /**
     * @param statistics of the device, for who looks
     * @param handsOver whether who asks for it may have it
     * @param resize gives it another size, in bytes, or throws why it cannot have that
     */
    static Door open(Path path, Statistics statistics, boolean handsOver, LongConsumer resize) throws IOException {
        Files.deleteIfExists(path);                                    // of a server that was killed, or that is about to end
        ServerSocketChannel channel = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        try {
            channel.bind(UnixDomainSocketAddress.of(path));
            Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rw-------"));
            Door door = new Door(path, channel, statistics, handsOver, resize);
            Thread.ofPlatform().daemon().name("door").start(door::listen);
            return door;
        } catch (IOException e) {
            channel.close();
            throw e;
        }
    }

    private static Object fileAt(Path path) throws IOException {
        return Files.readAttributes(path, BasicFileAttributes.class).fileKey();
    }

    private void listen() {
        try {
            while (true) {
                SocketChannel caller = channel.accept();
                Thread.ofPlatform().daemon().name("caller").start(() -> hear(new Lines(caller)));
            }
        } catch (IOException closed) {
            // Nobody comes any more.
        }
    }

    /** On a thread of its own, so that who says nothing is in nobody's way. */
    private void hear(Lines lines) {
        String wish = lines.read();
        if (Successor.HAND_OVER.equals(wish)) {
            String obstacle = obstacle(new Successor(lines));
            if (obstacle == null) return;
            lines.write(obstacle);
        } else if (Watch.LOOK.equals(wish)) {
            Watch.answer(lines, statistics.look());
        } else if (wish != null && wish.startsWith(RESIZE)) {
            lines.write(resized(wish.substring(RESIZE.length())));
        }
        lines.close();
    }

    private String resized(String bytes) {
        try {
            resize.accept(Long.parseLong(bytes));
            return RESIZED;
        } catch (RuntimeException e) {
            return String.valueOf(Exceptions.unwrap(e).getMessage());
        }
    }

    /** Why it does not get the device; null if it may. */
    private @Nullable String obstacle(Successor one) {
        if (!handsOver) {
            return "its server was started with --foreground, and belongs to whoever did that; let it hand over in its own way, and use recover";
        }
        return comesFirst(one) ? null : "another process is just taking it over";
    }

    private synchronized boolean comesFirst(Successor one) {
        if (isAsked) return false;
        isAsked = true;
        next.tryEmitValue(one);
        return true;
    }

    /** The first that asks for the device; if it did not get it, the first that asks after this. Nobody, if it is not handed over. */
    synchronized Mono<Successor> successor() {
        if (isAwaited && isAsked) {
            next = Sinks.one();
            isAsked = false;
        }
        isAwaited = true;
        return next.asMono();
    }

    @Override
    public void close() throws IOException {
        channel.close();
        try {
            if (fileAt(path).equals(file)) Files.delete(path);
        } catch (NoSuchFileException e) {
            // Somebody has tidied up.
        }
    }
}
