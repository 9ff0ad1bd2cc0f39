package io.reactorublk.samples.cli;

/**
 * What one queue of a device did between two looks, or all of them together, as its server tells it. Its names are a promise to
 * scripts.
 *
 * @param queue its number, or {@link #ALL}
 * @param nanos between the two looks
 * @param writes with those of zeroes
 * @param failed answered with an error, of all that are counted before
 * @param p50Nanos from its arrival to its answer half of the requests took at most so long; 0 if there were none
 * @param tags delivered and not answered yet, now
 * @param fetches completions of the fetch, which brought so many tags
 * @param commits commands, which took so many answers along
 * @param starved how often requests had to wait because the target had asked for none
 */
record Activity(int queue, long nanos, long reads, long readBytes, long writes, long writeBytes, long discards, long flushes, long failed,
        long p50Nanos, long p99Nanos, long p999Nanos, long maxNanos, long tags, long fetches, long fetchedTags, long commits,
        long committedTags, long starved) {

    static final int ALL = -1;

    /** How many tags came at a time. */
    double tagsAFetch() {
        return fetches == 0 ? 0 : (double) fetchedTags / fetches;
    }

    /** How many answers left at a time. */
    double tagsACommit() {
        return commits == 0 ? 0 : (double) committedTags / commits;
    }
}
