package io.reactorublk.samples.cli;

import io.reactorublk.BlockQueue;
import io.reactorublk.BlockRequest;
import io.reactorublk.QueueListener;
import java.util.ArrayList;
import java.util.Collection;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.atomic.AtomicLong;
import org.HdrHistogram.Histogram;
import org.HdrHistogram.SingleWriterRecorder;

/** Counts what the queues of a device do, for whoever {@linkplain Look looks}. */
final class Statistics implements QueueListener {

    private final Map<Integer, Counters> queues = new ConcurrentSkipListMap<>();

    @Override
    public QueueListener forQueue(BlockQueue queue) {
        Counters counters = new Counters(queue.id());
        queues.put(queue.id(), counters);
        return counters;
    }

    private enum Count {
        READS, READ_BYTES, WRITES, WRITE_BYTES, DISCARDS, FLUSHES, FAILED, FETCHES, FETCHED_TAGS, COMMITS, COMMITTED_TAGS, STARVED
    }

    /** Those of one queue. Its loop alone adds to them; who looks reads. */
    private final class Counters implements QueueListener {

        /** Shorter is not told apart. */
        private static final long SHORTEST_NANOS = 1_000;
        private static final long LONGEST_NANOS = 3_600_000_000_000L;
        private static final int DIGITS = 2;

        private final int queue;
        private final Map<Count, AtomicLong> counts = new EnumMap<>(Count.class);
        private final SingleWriterRecorder recent = new SingleWriterRecorder(SHORTEST_NANOS, LONGEST_NANOS, DIGITS);
        private final Histogram all = noTimes();

        Counters(int queue) {
            this.queue = queue;
            for (Count count : Count.values()) counts.put(count, new AtomicLong());
        }

        static Histogram noTimes() {
            return new Histogram(SHORTEST_NANOS, LONGEST_NANOS, DIGITS);
        }

        private void add(Count what, long n) {
            AtomicLong count = Objects.requireNonNull(counts.get(what));
            count.setRelease(count.getPlain() + n);
        }

        @Override
        public void onFetched(BlockQueue ours, int tags) {
            add(Count.FETCHES, 1);
            add(Count.FETCHED_TAGS, tags);
        }

        @Override
        public void onStarved(BlockQueue ours) {
            add(Count.STARVED, 1);
        }

        @Override
        public void onCommitted(BlockQueue ours, int completions) {
            add(Count.COMMITS, 1);
            add(Count.COMMITTED_TAGS, completions);
        }

        @Override
        public void onCompleted(BlockRequest request, int result, long nanos) {
            recent.recordValue(Math.clamp(nanos, 0, LONGEST_NANOS));
            if (result < 0) add(Count.FAILED, 1);
            switch (request.operation()) {
                case READ -> {
                    add(Count.READS, 1);
                    add(Count.READ_BYTES, Math.max(0, result));
                }
                case WRITE -> {
                    add(Count.WRITES, 1);
                    add(Count.WRITE_BYTES, Math.max(0, result));
                }
                case WRITE_ZEROES -> {
                    add(Count.WRITES, 1);
                    if (result >= 0) add(Count.WRITE_BYTES, request.length());
                }
                case DISCARD -> add(Count.DISCARDS, 1);
                case FLUSH -> add(Count.FLUSHES, 1);
            }
        }

        @Override
        public void onClosed(BlockQueue ours) {
            queues.remove(queue, this);
        }

        /** Since the beginning. Any thread. */
        synchronized Totals totals() {
            all.add(recent.getIntervalHistogram());
            Totals totals = new Totals();
            counts.forEach((what, count) -> totals.counts.put(what, count.getAcquire()));
            totals.times.add(all);
            return totals;
        }
    }

    private static final class Totals {

        private final Map<Count, Long> counts = new EnumMap<>(Count.class);
        private final Histogram times = Counters.noTimes();

        void add(Totals others) {
            others.counts.forEach((what, count) -> counts.merge(what, count, Long::sum));
            times.add(others.times);
        }

        void subtract(Totals others) {
            others.counts.forEach((what, count) -> counts.merge(what, -count, Long::sum));
            times.subtract(others.times);
        }

        long of(Count what) {
            return counts.getOrDefault(what, 0L);
        }

        long tags() {
            return Math.max(0, of(Count.FETCHED_TAGS) - of(Count.COMMITTED_TAGS));   // read while they change
        }

        long percentile(double percentile) {
            return times.getTotalCount() == 0 ? 0 : times.getValueAtPercentile(percentile);
        }

        Activity activity(int queue, long nanos, long tags) {
            return new Activity(queue, nanos, of(Count.READS), of(Count.READ_BYTES), of(Count.WRITES), of(Count.WRITE_BYTES),
                    of(Count.DISCARDS), of(Count.FLUSHES), of(Count.FAILED), percentile(50), percentile(99), percentile(99.9),
                    percentile(100), tags, of(Count.FETCHES), of(Count.FETCHED_TAGS), of(Count.COMMITS), of(Count.COMMITTED_TAGS),
                    of(Count.STARVED));
        }
    }

    /** One who looks again and again, beside others who do. */
    Look look() {
        return new Look();
    }

    final class Look {

        private Map<Counters, Totals> last = totals(queues.values());
        private long lastNanos = System.nanoTime();

        /** What happened since he looked last: first of all queues together, then of each. */
        List<Activity> next() {
            Map<Counters, Totals> now = totals(queues.values());
            long nanos = System.nanoTime();
            Totals all = new Totals();
            long allTags = 0;
            List<Activity> activities = new ArrayList<>();
            for (Map.Entry<Counters, Totals> is : now.entrySet()) {
                Totals did = new Totals();
                did.add(is.getValue());
                Totals was = last.get(is.getKey());
                if (was != null) did.subtract(was);
                all.add(did);
                allTags += is.getValue().tags();
                activities.add(did.activity(is.getKey().queue, nanos - lastNanos, is.getValue().tags()));
            }
            activities.addFirst(all.activity(Activity.ALL, nanos - lastNanos, allTags));
            last = now;
            lastNanos = nanos;
            return activities;
        }

        private static Map<Counters, Totals> totals(Collection<Counters> queues) {
            Map<Counters, Totals> totals = new LinkedHashMap<>();
            for (Counters queue : queues) totals.put(queue, queue.totals());
            return totals;
        }
    }
}
