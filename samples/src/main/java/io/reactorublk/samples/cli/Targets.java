package io.reactorublk.samples.cli;

import io.reactorublk.samples.mapped.MappedTarget;
import io.reactorublk.samples.mirror.Mirror;
import io.reactorublk.samples.mirror.MirrorException;
import io.reactorublk.target.FileTarget;
import io.reactorublk.target.NullTarget;
import io.reactorublk.target.RamTarget;
import io.reactorublk.target.StripeTarget;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.OptionalInt;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ParentCommand;

/** What can be behind a device: one command each, under {@code add} and, if it outlives a server, under {@code recover}. */
final class Targets {

    private Targets() {}

    /** Serves what it opens as the command above it says. */
    abstract static class Target implements Callable<Integer> {

        @ParentCommand
        private @Nullable ServeCommand how;

        /**
         * @param sizeBytes how large the device shall be; 0 if nobody said
         * @param blockSize what the size must be a multiple of
         */
        abstract Content open(long sizeBytes, int blockSize, boolean readOnly) throws IOException;

        /** Whether what it has answered is as durable as it will ever be. */
        boolean needsNoFlush() {
            return false;
        }

        /** Why no other server could go on where this one ends; null if one could. */
        @Nullable String whyItEndsWithItsServer() {
            return null;
        }

        boolean isDirect() {
            return false;
        }

        /** Whether it is made, with nothing in it. */
        boolean isNew() {
            return false;
        }

        @Override
        public Integer call() throws Exception {
            return Objects.requireNonNull(how).serve(this);
        }

        static long required(long sizeBytes) {
            if (sizeBytes != 0) return sizeBytes;
            throw new IllegalArgumentException("how large shall the device be? Add --size SIZE, such as --size 1G");
        }
    }

    @Command(name = "null", description = "Forgets what is written: to measure with.")
    static final class Null extends Target {

        private static final long DEFAULT_BYTES = 250L << 30;

        @Override
        Content open(long sizeBytes, int blockSize, boolean readOnly) {
            return Content.of(new NullTarget(), sizeBytes == 0 ? DEFAULT_BYTES : sizeBytes, () -> Long.MAX_VALUE);
        }

        @Override
        boolean needsNoFlush() {
            return true;
        }
    }

    @Command(name = "ram", description = "A disk in memory, gone with its server.")
    static final class Ram extends Target {

        @Override
        Content open(long sizeBytes, int blockSize, boolean readOnly) {
            RamTarget ram = new RamTarget(required(sizeBytes));
            return Content.of(ram, ram.sizeBytes(), ram::close);
        }

        @Override
        boolean needsNoFlush() {
            return true;
        }

        @Override
        String whyItEndsWithItsServer() {
            return "what is in this target dies with its server";
        }
    }

    @Command(name = "file", description = "A file, or another block device.")
    static final class File extends Target {

        @Parameters(paramLabel = "FILE", description = "It must be there, unless --create makes it.")
        private @Nullable Path path;

        @Option(names = "--create", description = "Make it, sparse and of the size given; there must be nothing yet.")
        private boolean create;

        @Option(names = "--direct", description = "Past the page cache (O_DIRECT).")
        private boolean direct;

        @Override
        Content open(long sizeBytes, int blockSize, boolean readOnly) throws IOException {
            Path file = Objects.requireNonNull(path);
            if (create) make(file, required(sizeBytes));
            FileTarget target = FileTarget.of(file);
            if (direct) target = target.direct();
            if (readOnly) target = target.readOnly();
            return Content.of(target, size(sizeBytes, target.sizeBytes(), blockSize), target::sizeBytes);
        }

        @Override
        boolean isNew() {
            return create;
        }

        private static void make(Path file, long sizeBytes) throws IOException {
            Files.createFile(file);
            try (RandomAccessFile made = new RandomAccessFile(file.toFile(), "rw")) {
                made.setLength(sizeBytes);
            }
        }

        @Override
        boolean isDirect() {
            return direct;
        }
    }

    @Command(name = "stripe", description = "Several files as one disk, a chunk on each in turn (RAID 0).")
    static final class Stripe extends Target {

        @Parameters(paramLabel = "FILE", arity = "2..*", description = "The same ones in the same order each time.")
        private List<Path> paths = List.of();

        @Option(names = "--chunk", paramLabel = "SIZE", defaultValue = "256K", converter = Size.Small.class,
                description = "How much lies on one file before the next one's turn, the same each time; ${DEFAULT-VALUE} if not given.")
        private int chunkBytes;

        @Option(names = "--direct", description = "Past the page cache (O_DIRECT).")
        private boolean direct;

        @Override
        Content open(long sizeBytes, int blockSize, boolean readOnly) {
            StripeTarget target = StripeTarget.of(chunkBytes, paths);
            if (direct) target = target.direct();
            if (readOnly) target = target.readOnly();
            return Content.of(target, size(sizeBytes, target.sizeBytes(), blockSize), target::sizeBytes);
        }

        @Override
        boolean isDirect() {
            return direct;
        }
    }

    @Command(name = "mirror", description = "The same on 2 to 8 files; it survives all but one of them.")
    static final class Mirrored extends Target {

        @Parameters(paramLabel = "REPLICA", arity = "1..8", description = "Its replicas, all of them, unless --degraded.")
        private List<Path> paths = List.of();

        @Option(names = "--create", description = "Make new replicas, of the size given; there must be nothing yet.")
        private boolean create;

        @Option(names = "--quorum", paramLabel = "N", description = "How many replicas must have a write before it is acknowledged; with "
                + "fewer left, writes fail. 1 for new replicas, else what it was.")
        private @Nullable Integer quorum;

        @Option(names = "--degraded", description = "Start although replicas with newer data may be missing; it is lost then.")
        private boolean degraded;

        @Option(names = "--direct", description = "Past the page cache (O_DIRECT).")
        private boolean direct;

        @Override
        Content open(long sizeBytes, int blockSize, boolean readOnly) {
            try {
                if (create) Mirror.create(paths, required(sizeBytes), quorum == null ? 1 : quorum);
                Mirror mirror = Mirror.open(paths, quorum == null ? OptionalInt.empty() : OptionalInt.of(quorum), degraded, direct);
                mirror.remarks().forEach(System.err::println);
                if (sizeBytes == 0 || sizeBytes == mirror.sizeBytes()) return Content.of(mirror.target(), mirror.sizeBytes(), mirror::close);
                mirror.close();
                throw new FailedException("these replicas are of a device of %s; leave --size out".formatted(Size.text(mirror.sizeBytes())));
            } catch (MirrorException e) {
                throw new FailedException(String.valueOf(e.getMessage()));
            }
        }

        @Override
        String whyItEndsWithItsServer() {
            return "after its server has died the replicas of a mirror are compared, by somebody who was told which of them are there";
        }

        @Override
        boolean isDirect() {
            return direct;
        }
    }

    @Command(name = "mapped", description = "A volume larger than the file it is on, with a map of what is where.")
    static final class Mapped extends Target {

        @Parameters(index = "0", paramLabel = "DATA", description = "The file with the bytes; it must be there.")
        private @Nullable Path data;

        @Parameters(index = "1", paramLabel = "MAP", description = "The file with the map; made if it is missing.")
        private @Nullable Path map;

        @Option(names = "--extent", paramLabel = "SIZE", defaultValue = "1M", converter = Size.Small.class,
                description = "What is given a place at a time, the same each time; ${DEFAULT-VALUE} if not given.")
        private int extentBytes;

        @Override
        Content open(long sizeBytes, int blockSize, boolean readOnly) {
            MappedTarget target = MappedTarget.open(Objects.requireNonNull(data), Objects.requireNonNull(map),
                    required(sizeBytes), extentBytes);
            return Content.of(target, target.sizeBytes(), target::close);
        }

        @Override
        String whyItEndsWithItsServer() {
            return "what a mapped volume has answered and not flushed is lost with its server, and nobody would be told";
        }
    }

    /** Of what is there, all, or as much as is wanted. */
    private static long size(long wanted, long there, int blockSize) {
        if (wanted > there) {
            throw new FailedException("what is there is %s, and shorter than the %s it shall be; make it longer"
                    .formatted(Size.text(there), Size.text(wanted)));
        }
        if (wanted != 0) return wanted;
        if (there >= blockSize) return there - there % blockSize;
        throw new FailedException("what is there is shorter than one block of %d bytes; make it longer".formatted(blockSize));
    }
}
