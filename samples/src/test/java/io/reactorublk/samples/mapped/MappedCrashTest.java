package io.reactorublk.samples.mapped;

import static io.reactorublk.samples.mapped.MappedFixture.EXTENT_BYTES;
import static io.reactorublk.samples.mapped.MappedFixture.LOGICAL;
import static org.assertj.core.api.Assertions.assertThat;

import io.reactorublk.memory.MemoryDisk;
import io.reactorublk.memory.MemoryUblk;
import io.reactorublk.uring.Errno;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import reactor.core.publisher.Mono;

/**
 * By seed: applications write, flush and discard until the power fails, again and again. Then each block holds what was last
 * flushed, or something written later; never what is older, nor what belongs to another block. Meanwhile each holds what was
 * last written.
 */
class MappedCrashTest {

    private static final int BLOCK = 512;
    private static final int BLOCKS_OF_EXTENT = EXTENT_BYTES / BLOCK;
    private static final int BLOCKS = LOGICAL * BLOCKS_OF_EXTENT;
    private static final int APPLICATIONS = 3;
    /** In these each application has its own blocks; each of the others belongs to one of them. */
    private static final int SHARED = LOGICAL / 2;
    private static final int POWER_CUTS = 4;
    private static final int STEPS = 3000;
    private static final int SEEDS = 12;

    static LongStream seeds() {
        Long seed = Long.getLong("seed");
        return seed != null ? LongStream.of(seed) : LongStream.range(0, SEEDS);
    }

    @ParameterizedTest
    @MethodSource("seeds")
    void nothingFlushedIsLostAndNothingOldComesBack(long seed) {
        new Run(seed).run();
    }

    /** What was written to a block. */
    private static final class Write {
        final long value;
        boolean ended;

        Write(long value, boolean ended) {
            this.value = value;
            this.ended = ended;
        }
    }

    private static final class Run {

        private final SplittableRandom random;
        private final MappedFixture volume;
        /** What each block may hold after a power cut: what was last flushed, and all since, in the order of time. */
        private final List<List<Write>> blocks = new ArrayList<>();
        private long next;
        private int life;
        private @Nullable Throwable failure;

        Run(long seed) {
            random = new SplittableRandom(seed);
            volume = new MappedFixture(MemoryUblk.create(seed), LOGICAL / 4 + random.nextInt(LOGICAL));
            for (int i = 0; i < BLOCKS; i++) blocks.add(new ArrayList<>(List.of(new Write(0, true))));
        }

        void run() {
            while (life < POWER_CUTS) {
                MemoryDisk disk = volume.serve(1 + random.nextInt(2));
                recover(disk);
                for (int i = 0; i < APPLICATIONS; i++) new Application(i, disk).start();
                for (int steps = random.nextInt(STEPS); steps > 0 && failure == null; steps--) volume.ublk.step();
                if (failure != null) throw new AssertionError("in life " + life, failure);
                life++;
                volume.powerCut();
            }
            recover(volume.serve(1));
            volume.stop();
            assertThat(volume.ublk.breaches()).isEmpty();
        }

        /** What is read after a power cut is what is on the disks, and stays. */
        private void recover(MemoryDisk disk) {
            byte[] all = Objects.requireNonNull(volume.ublk.get(disk.read(0, MappedFixture.BYTES)));
            for (int block = 0; block < BLOCKS; block++) {
                long value = value(all, block * BLOCK);
                List<Write> possible = blocks.get(block);
                if (possible.stream().noneMatch(write -> write.value == value)) {
                    throw new AssertionError("block " + block + " holds " + value + " in life " + life + "; possible: "
                            + possible.stream().map(write -> write.value).toList());
                }
                possible.clear();
                possible.add(new Write(value, true));
            }
        }

        /** One that does one thing after another. */
        private final class Application {

            private final int number;
            private final MemoryDisk disk;
            private final int mine = life;

            Application(int number, MemoryDisk disk) {
                this.number = number;
                this.disk = disk;
            }

            void start() {
                Mono.defer(this::operation).repeat(() -> life == mine).subscribe(nothing -> {}, e -> {
                    if (life == mine) failure = e;
                });
            }

            private Mono<Void> operation() {
                int block = random.nextInt(SHARED * BLOCKS_OF_EXTENT / APPLICATIONS) * APPLICATIONS + number;
                int own = SHARED + random.nextInt((LOGICAL - SHARED) / APPLICATIONS) * APPLICATIONS + number;
                int first = random.nextInt(BLOCKS_OF_EXTENT);
                int count = 1 + random.nextInt(BLOCKS_OF_EXTENT - first);
                int part = own * BLOCKS_OF_EXTENT + first;
                long value = ++next;
                return switch (random.nextInt(12)) {
                    case 0, 1, 2 -> write(block, 1, value, disk.write(at(block), bytes(1, value)));
                    case 3 -> durably(block, 1, value);
                    case 4, 5 -> write(part, count, value, disk.write(at(part), bytes(count, value)));
                    case 6 -> durably(part, count, value);
                    case 7 -> write(part, count, 0, disk.punchHole(at(part), (long) count * BLOCK));
                    case 8 -> write(own * BLOCKS_OF_EXTENT, BLOCKS_OF_EXTENT, 0,
                            disk.discard(at(own * BLOCKS_OF_EXTENT), EXTENT_BYTES));
                    case 9 -> read(block, 1);
                    case 10 -> read(part, count);
                    default -> flush();
                };
            }

            private long at(int block) {
                return (long) block * BLOCK;
            }

            private Mono<Void> write(int first, int count, long value, Mono<Void> operation) {
                List<Write> writes = new ArrayList<>();
                for (int i = first; i < first + count; i++) {
                    Write write = new Write(value, false);
                    blocks.get(i).add(write);
                    writes.add(write);
                }
                return operation
                        .doOnSuccess(nothing -> writes.forEach(write -> write.ended = true))
                        .onErrorResume(e -> {
                            if (Errno.of(e) != Errno.ENOSPC) return Mono.error(e);
                            for (int i = 0; i < count; i++) blocks.get(first + i).remove(writes.get(i));    // nothing was done
                            return Mono.empty();
                        });
            }

            private Mono<Void> durably(int first, int count, long value) {
                return write(first, count, value, disk.writeDurably(at(first), bytes(count, value)))
                        .doOnSuccess(nothing -> {
                            for (int i = first; i < first + count; i++) forgetUpTo(i, blocks.get(i).getLast());
                        });
            }

            /** Covers what had ended when it began. */
            private Mono<Void> flush() {
                List<Write> covered = blocks.stream()
                        .map(writes -> writes.stream().filter(write -> write.ended).reduce((a, b) -> b).orElseThrow()).toList();
                return disk.flush().doOnSuccess(nothing -> {
                    for (int i = 0; i < BLOCKS; i++) forgetUpTo(i, covered.get(i));
                });
            }

            private void forgetUpTo(int block, Write durable) {
                if (life != mine) return;
                List<Write> writes = blocks.get(block);
                int index = writes.indexOf(durable);
                if (index > 0) writes.subList(0, index).clear();
            }

            private Mono<Void> read(int first, int count) {
                return disk.read(at(first), count * BLOCK).doOnNext(bytes -> {
                    for (int i = 0; i < count; i++) {
                        long expected = blocks.get(first + i).getLast().value;
                        assertThat(value(bytes, i * BLOCK)).as("block %d", first + i).isEqualTo(expected);
                    }
                }).then();
            }
        }

        private static long value(byte[] bytes, int from) {
            ByteBuffer block = ByteBuffer.wrap(bytes, from, BLOCK);
            long value = block.getLong();
            while (block.hasRemaining()) {
                if (block.getLong() != value) throw new AssertionError("a block is torn: it begins as of " + value);
            }
            return value;
        }

        private static byte[] bytes(int count, long value) {
            ByteBuffer buffer = ByteBuffer.allocate(count * BLOCK);
            while (buffer.hasRemaining()) buffer.putLong(value);
            return buffer.array();
        }
    }
}
