package io.reactorublk.samples.mirror;

import io.reactorublk.BlockRequest;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.IoBuffer;
import io.reactorublk.uring.KernelException;
import java.time.Duration;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler;

/**
 * Makes replicas fail on order, as a broken disk does: from a certain operation on, on every queue, headers included. For
 * the demonstration and for tests. Any thread.
 */
final class Faults {

    private record Fault(AtomicInteger operationsLeft, @Nullable Errno errno, Duration delay) {}

    private final AtomicReferenceArray<@Nullable Fault> faults = new AtomicReferenceArray<>(ReplicaHeader.MAX_MEMBERS);

    /** From now on everything that is asked of a replica fails, but for the first few operations. */
    void fail(int member, Errno errno, int afterOperations) {
        faults.set(member, new Fault(new AtomicInteger(afterOperations), errno, Duration.ZERO));
    }

    /** From now on everything that is asked of a replica takes this much longer. */
    void delay(int member, Duration delay) {
        faults.set(member, new Fault(new AtomicInteger(), null, delay));
    }

    /** All is well again. */
    void heal(int member) {
        faults.set(member, null);
    }

    Replica between(int member, Replica replica, Scheduler loop) {
        return new FaultyReplica(member, replica, loop);
    }

    HeaderStore between(int member, HeaderStore store, Scheduler loop) {
        return new FaultyStore(member, store, loop);
    }

    private Mono<Void> pass(int member, String operation, Scheduler loop, Supplier<Mono<Void>> action) {
        return Mono.defer(() -> {
            Fault fault = faults.get(member);
            if (fault == null || fault.operationsLeft.getAndUpdate(left -> Math.max(0, left - 1)) > 0) return action.get();
            Errno errno = fault.errno;
            if (errno != null) return Mono.error(new KernelException(operation + " of replica " + member + " (injected)", errno));
            return action.get().delaySubscription(fault.delay, loop);
        });
    }

    private final class FaultyReplica implements Replica {

        private final int member;
        private final Replica replica;
        private final Scheduler loop;

        FaultyReplica(int member, Replica replica, Scheduler loop) {
            this.member = member;
            this.replica = replica;
            this.loop = loop;
        }

        @Override
        public Mono<Void> transfer(BlockRequest request) {
            String operation = request.operation().toString().toLowerCase(Locale.ROOT);
            return pass(member, operation, loop, () -> replica.transfer(request));
        }

        @Override
        public Mono<Void> read(IoBuffer buffer, long offset) {
            return pass(member, "read", loop, () -> replica.read(buffer, offset));
        }

        @Override
        public Mono<Void> write(IoBuffer buffer, long offset, boolean durable) {
            return pass(member, "write", loop, () -> replica.write(buffer, offset, durable));
        }

        @Override
        public Mono<Void> flush() {
            return pass(member, "flush", loop, replica::flush);
        }

        @Override
        public Mono<Void> discard(long offset, long length) {
            return pass(member, "discard", loop, () -> replica.discard(offset, length));
        }

        @Override
        public Mono<Void> zero(long offset, long length, boolean keepAllocated) {
            return pass(member, "zero", loop, () -> replica.zero(offset, length, keepAllocated));
        }

        @Override
        public Mono<Void> close() {
            return replica.close();
        }
    }

    private final class FaultyStore implements HeaderStore {

        private final int member;
        private final HeaderStore store;
        private final Scheduler loop;

        FaultyStore(int member, HeaderStore store, Scheduler loop) {
            this.member = member;
            this.store = store;
            this.loop = loop;
        }

        @Override
        public Mono<Void> write(ReplicaHeader header) {
            return pass(member, "header write", loop, () -> store.write(header));
        }

        @Override
        public Mono<Void> flush() {
            return pass(member, "flush", loop, store::flush);
        }
    }
}
