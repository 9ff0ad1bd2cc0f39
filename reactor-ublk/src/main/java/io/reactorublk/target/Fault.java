package io.reactorublk.target;

import io.reactorublk.Operation;
import io.reactorublk.uring.Errno;
import java.util.Collections;
import java.util.EnumSet;
import java.util.Objects;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.random.RandomGenerator;

/**
 * Which requests fail, and how, for {@link Filters#fault}. Immutable: each method returns a changed copy.
 *
 * <p>Without more, every request does. Each queue throws its own dice and counts its own faults, so that a run repeats
 * itself whatever the other queues do.
 */
public final class Fault {

    private final Errno errno;
    private final Set<Operation> operations;
    private final long from;
    private final long to;
    private final double probability;
    private final long seed;
    private final long limit;

    private Fault(Errno errno, Set<Operation> operations, long from, long to, double probability, long seed, long limit) {
        this.errno = errno;
        this.operations = operations;
        this.from = from;
        this.to = to;
        this.probability = probability;
        this.seed = seed;
        this.limit = limit;
    }

    /**
     * Every request fails.
     *
     * @param errno what the request is answered with. The application sees EIO for it unless it is one that the block layer
     *     knows: EOPNOTSUPP, ETIMEDOUT, ENOSPC, ENOLINK, EREMOTEIO, EBADE, ENODATA, EILSEQ, ENOMEM, ENODEV and a few more
     */
    public static Fault of(Errno errno) {
        return new Fault(Objects.requireNonNull(errno), EnumSet.allOf(Operation.class), 0, Long.MAX_VALUE, 1, 0, Long.MAX_VALUE);
    }

    /** Only these operations fail. */
    public Fault on(Operation first, Operation... others) {
        Set<Operation> chosen = Collections.unmodifiableSet(EnumSet.of(first, others));
        return new Fault(errno, chosen, from, to, probability, seed, limit);
    }

    /**
     * Only requests that touch this range of the device fail: a bad spot. A FLUSH touches none.
     *
     * @param offset in bytes
     * @param lengthBytes at least 1
     */
    public Fault within(long offset, long lengthBytes) {
        if (offset < 0 || lengthBytes < 1 || offset > Long.MAX_VALUE - lengthBytes) {
            throw new IllegalArgumentException("a bad spot of " + lengthBytes + " bytes at " + offset
                    + ": the offset cannot be negative, and at least one byte is needed");
        }
        return new Fault(errno, operations, offset, offset + lengthBytes, probability, seed, limit);
    }

    /**
     * Only so many of them fail, at random; the same ones whenever the same requests come in the same order.
     *
     * @param probability from 0, never, to 1, always
     * @param seed of the dice
     */
    public Fault randomly(double probability, long seed) {
        if (!(probability >= 0 && probability <= 1)) {
            throw new IllegalArgumentException("a probability of " + probability + ": from 0 to 1 is possible");
        }
        return new Fault(errno, operations, from, to, probability, seed, limit);
    }

    /** Only the first of them fail, on each queue; after that the disk is well again. */
    public Fault first(long requests) {
        if (requests < 1) throw new IllegalArgumentException("a limit of " + requests + " faults: at least 1 is needed");
        return new Fault(errno, operations, from, to, probability, seed, requests);
    }

    /** What the requests are answered with. */
    public Errno errno() {
        return errno;
    }

    Course course(int queue) {
        return new Course(new SplittableRandom(seed + queue));
    }

    /** What becomes of a fault as requests come by, on one queue. On its loop. */
    final class Course {

        private final RandomGenerator dice;
        private long left = limit;

        private Course(RandomGenerator dice) {
            this.dice = dice;
        }

        boolean strikes(Operation operation, long offset, long length) {
            if (left == 0 || !operations.contains(operation) || !touches(offset, length)) return false;
            if (probability < 1 && dice.nextDouble() >= probability) return false;
            left--;
            return true;
        }

        private boolean touches(long offset, long length) {
            if (from == 0 && to == Long.MAX_VALUE) return true;        // anywhere: a FLUSH too
            return length > 0 && offset < to && offset + length > from;
        }
    }

    @Override
    public String toString() {
        return "Fault(" + errno + " on " + operations + ")";
    }
}
