package io.reactorublk.samples.mirror;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Which of the replicas that were found can be served together. A decision only: nothing is written.
 *
 * <p>The newest header is the truth, if it can be known that there is none newer. A header is written by the live members
 * only, and at least the quorum of them must have it before it counts; so if fewer live members than the quorum are missing,
 * none of them can have gone on without those that are here. That is why two replicas with a quorum of 1 start with both, or
 * with one and {@code --degraded}, by which somebody says that the other is lost.
 *
 * @param header the newest; who is live in it and here is live from now on
 * @param files by member; null where there is none or a stale one
 * @param wasOpen the replicas may differ where writes were in flight, and must be made equal before anybody reads
 * @param remarks what somebody should know, such as who is left out
 */
record Assembly(ReplicaHeader header, List<@Nullable ReplicaFile> files, boolean wasOpen, List<String> remarks) {

    /**
     * Decides.
     *
     * @param quorum a new one, or empty for that of the set
     * @param degraded whether to go on although live members that may know more are missing
     * @throws MirrorException saying what was found, if these cannot be served together
     */
    static Assembly of(List<ReplicaFile> found, OptionalInt quorum, boolean degraded) {
        if (found.isEmpty()) throw new MirrorException("no replicas are given");
        ReplicaFile.requireDistinct(found);
        requireOneSet(found);
        ReplicaFile newest = found.getFirst();
        for (ReplicaFile file : found) if (file.header().generation() > newest.header().generation()) newest = file;
        ReplicaHeader truth = newest.header();
        requireOneHistory(found, newest);

        List<@Nullable ReplicaFile> files = new ArrayList<>();
        for (int i = 0; i < truth.members(); i++) files.add(null);
        List<String> remarks = new ArrayList<>();
        int live = 0;
        for (ReplicaFile file : found) {
            int member = file.header().member();
            if (truth.isLive(member)) {
                files.set(member, file);
                live |= 1 << member;
            } else {
                remarks.add("%s is left out: replica %d is stale, its data is of generation %d, the newest is %d (%s)".formatted(
                        file.path(), member, file.header().generation(), truth.generation(), newest.path()));
            }
        }
        int missing = truth.live() & ~live;
        if (live == 0) {
            throw new MirrorException("only stale replicas are given: " + String.join("; ", remarks) + "; give also "
                    + MirrorSet.names(truth.live()));
        }
        if (missing != 0 && !degraded && Integer.bitCount(missing) >= truth.quorum()) {
            throw new MirrorException(("%s not given, and may have gone on without %s, of generation %d; "
                    + "give also %s, or, if that is lost for good and with it whatever only it has, --degraded").formatted(
                    MirrorSet.names(missing), paths(found), truth.generation(), MirrorSet.names(missing)) + also(remarks));
        }
        if (missing != 0) remarks.add(MirrorSet.names(missing) + " not given: stale from now on");
        int wanted = quorum.orElse(truth.quorum());
        if (wanted < 1 || wanted > truth.members()) {
            throw new MirrorException("a quorum of %d: with %d replicas, from 1 to %d are possible".formatted(
                    wanted, truth.members(), truth.members()));
        }
        if (Integer.bitCount(live) < wanted) {
            throw new MirrorException("%d live of %d replicas: too few for the quorum of %d; --quorum %d would do with them"
                    .formatted(Integer.bitCount(live), truth.members(), wanted, Integer.bitCount(live)) + also(remarks));
        }
        return new Assembly(truth.withQuorum(wanted).next(live, true), files, truth.open(), remarks);
    }

    private static void requireOneSet(List<ReplicaFile> found) {
        ReplicaFile first = found.getFirst();
        @Nullable Path[] seen = new Path[ReplicaHeader.MAX_MEMBERS];
        for (ReplicaFile file : found) {
            ReplicaHeader header = file.header();
            if (!header.set().equals(first.header().set())) {
                throw new MirrorException("these are replicas of different sets: %s is of set %s, %s of set %s".formatted(
                        first.path(), first.header().set(), file.path(), header.set()));
            }
            if (header.dataBytes() != first.header().dataBytes() || header.members() != first.header().members()) {
                throw new MirrorException(("these replicas do not fit together: "
                        + "%s holds %d bytes and is one of %d, %s holds %d and is one of %d").formatted(
                        first.path(), first.header().dataBytes(), first.header().members(),
                        file.path(), header.dataBytes(), header.members()));
            }
            Path other = seen[header.member()];
            if (other != null) {
                throw new MirrorException(("%s and %s both say that they are replica %d of the set: "
                        + "one is a copy of the other; give only one").formatted(other, file.path(), header.member()));
            }
            seen[header.member()] = file.path();
        }
    }

    /** Who is stale stays stale, so whoever was stale in an older header is so in the newest; else there were two histories. */
    private static void requireOneHistory(List<ReplicaFile> found, ReplicaFile newest) {
        for (ReplicaFile file : found) {
            ReplicaHeader older = file.header();
            boolean same = older.generation() < newest.header().generation() || older.live() == newest.header().live();
            if (same && (older.stale() & ~newest.header().stale()) == 0) continue;
            throw new MirrorException(("split brain: %s (generation %d) calls %s stale, %s (generation %d) calls %s stale; "
                    + "each went on without the other. Decide which one to keep, start with that one and --degraded").formatted(
                    file.path(), older.generation(), MirrorSet.names(older.stale()),
                    newest.path(), newest.header().generation(), MirrorSet.names(newest.header().stale())));
        }
    }

    private static String paths(List<ReplicaFile> found) {
        return found.stream().map(file -> file.path().toString()).collect(Collectors.joining(" and "));
    }

    private static String also(List<String> remarks) {
        return remarks.isEmpty() ? "" : ". Also: " + String.join("; ", remarks);
    }
}
