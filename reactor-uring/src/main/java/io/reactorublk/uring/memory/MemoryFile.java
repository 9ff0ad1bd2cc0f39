package io.reactorublk.uring.memory;

import io.reactorublk.uring.Errno;
import io.reactorublk.uring.abi.linux_h;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;

/**
 * A file of a {@link MemoryKernel}, as a test sees it: what is in it, what of that is on the disk, and what it shall get
 * wrong.
 *
 * <pre>{@code
 * file.fail(MemoryFile.Call.WRITE, 3, Errno.EIO);         // the third write from now
 * file.latency(Duration.ofMillis(5));                     // every call
 * file.crash();                                           // what was not synced is gone
 * }</pre>
 */
public final class MemoryFile {

    /** What can be done with a file. */
    public enum Call {
        /** Every kind of read. */
        READ,
        /** Every kind of write. */
        WRITE,
        /** {@code fsync} and {@code fdatasync}. */
        SYNC,
        /** {@code fallocate}, also where it punches holes. */
        ALLOCATE
    }

    /** What a disk writes at a time or not at all. */
    private static final int SECTOR_BYTES = 512;

    private final Agenda agenda;
    private final Map<Call, Faults> faults = new EnumMap<>(Call.class);
    private Pages written = new Pages();
    private Pages durable = new Pages();
    /** Pages that were written and not synced. */
    private final TreeSet<Long> dirty = new TreeSet<>();
    /** How often writing back has failed, with what the last time, and whether anybody was told of that: {@code lib/errseq.c}. */
    private int failures;
    private int failure;
    private boolean failureTold = true;
    private long latencyNanos;
    private long capacityBytes = Long.MAX_VALUE;
    private boolean direct = true;
    private boolean zeroRange = true;

    MemoryFile(Agenda agenda) {
        this.agenda = agenda;
        for (Call call : Call.values()) faults.put(call, new Faults());
    }

    /** The next call of this kind fails. */
    public MemoryFile fail(Call call, Errno errno) {
        return fail(call, 1, errno);
    }

    /**
     * A call of this kind fails.
     *
     * <p>A sync that fails loses what it was to write, as on Linux: it can be read until the power fails, and a second sync
     * does not bring it back. Every open file is told of it once: by its own next sync, or its next durable write.
     *
     * @param nth which one from now; 1 is the next
     */
    public MemoryFile fail(Call call, int nth, Errno errno) {
        faults(call).fail(nth, errno);
        return this;
    }

    /** All calls of this kind fail, until {@link #heal}. */
    public MemoryFile failAlways(Call call, Errno errno) {
        faults(call).failAlways(errno);
        return this;
    }

    /** The next read or write does no more than so many bytes. */
    public MemoryFile shorten(Call call, int bytes) {
        faults(call).shorten(1, bytes);
        return this;
    }

    /** From now on nothing fails and nothing is short. */
    public MemoryFile heal() {
        faults.values().forEach(Faults::heal);
        return this;
    }

    /** How long each call takes from now on. What is on its way to the disk cannot be cancelled. */
    public MemoryFile latency(Duration latency) {
        latencyNanos = latency.toNanos();
        return this;
    }

    /** How much room there is for this file's pages of {@value Pages#BYTES} bytes: beyond it the disk is full. */
    public MemoryFile capacity(long bytes) {
        capacityBytes = bytes;
        return this;
    }

    /** Its file system does not know {@code O_DIRECT}. */
    public MemoryFile withoutDirect() {
        direct = false;
        return this;
    }

    /** Its file system does not know {@code FALLOC_FL_ZERO_RANGE}. */
    public MemoryFile withoutZeroRange() {
        zeroRange = false;
        return this;
    }

    /** Makes this the content, all of it on the disk. */
    public MemoryFile content(byte[] content) {
        written = new Pages();
        written.write(MemorySegment.ofArray(content), 0);
        durable = written.duplicate();
        dirty.clear();
        return this;
    }

    /** What a program would read. */
    public byte[] content() {
        return written.toArray();
    }

    /** What a program would read of a range; less of it where the file ends. */
    public byte[] content(long offset, int length) {
        byte[] range = new byte[Math.clamp(written.size() - offset, 0, length)];
        written.read(MemorySegment.ofArray(range), offset);
        return range;
    }

    /** What is on the disk: what would be left if the power failed now, at the least. */
    public byte[] durableContent() {
        return durable.toArray();
    }

    /** Its length in bytes. */
    public long size() {
        return written.size();
    }

    /** How many calls of this kind there have been. */
    public long calls(Call call) {
        return faults(call).calls();
    }

    /** The power fails: what was not synced is gone; with a seed, chance spares some sectors of it. */
    public void crash() {
        if (agenda.chance()) durable.resize(written.size());
        for (long page : dirty) {
            for (int sector = 0; sector < Pages.BYTES; sector += SECTOR_BYTES) {
                if (agenda.chance()) durable.copy(written, page, sector, sector + SECTOR_BYTES);
            }
        }
        dirty.clear();
        failureTold = true;                                            // nothing in memory knows of it any more
        durable.zero(durable.size(), Long.MAX_VALUE);                  // sectors behind the end that nobody will find
        written = durable.duplicate();
    }

    private Faults faults(Call call) {
        return java.util.Objects.requireNonNull(faults.get(call));
    }

    boolean knowsDirect() {
        return direct;
    }

    long latencyNanos() {
        return latencyNanos;
    }

    int read(List<MemorySegment> pieces, long offset) {
        int most = faults(Call.READ).next();
        if (most < 0) return most;
        int done = 0;
        for (MemorySegment piece : pieces) {
            int wanted = (int) Math.min(piece.byteSize(), most - done);
            int read = written.read(piece.asSlice(0, wanted), offset + done);
            done += read;
            if (read < piece.byteSize()) break;
        }
        return done;
    }

    int write(List<MemorySegment> pieces, long offset, boolean durably) {
        int most = faults(Call.WRITE).next();
        if (most < 0) return most;
        int done = 0;
        for (MemorySegment piece : pieces) {
            long wanted = Math.min(piece.byteSize(), most - done);
            long room = roomAt(offset + done, wanted);
            if (room > 0) written.write(piece.asSlice(0, room), offset + done);
            done += (int) room;
            if (room < wanted && done == 0) return Errno.ENOSPC.result();
            if (room < piece.byteSize()) break;
        }
        changed(offset, offset + done);
        if (durably) persist(offset, offset + done);
        return done;
    }

    /** How many of these bytes find room on the disk. */
    private long roomAt(long offset, long length) {
        if (capacityBytes == Long.MAX_VALUE) return length;
        long free = capacityBytes / Pages.BYTES - written.count();
        for (long page = Pages.page(offset); page * Pages.BYTES < offset + length; page++) {
            if (!written.has(page) && --free < 0) return Math.max(0, page * Pages.BYTES - offset);
        }
        return length;
    }

    private void changed(long from, long to) {
        if (from == to) return;
        for (long page = Pages.page(from); page <= Pages.page(to - 1); page++) dirty.add(page);
    }

    /** A write that is durable takes nothing else with it. */
    private void persist(long from, long to) {
        for (long at = from; at < to; ) {
            long page = Pages.page(at);
            long end = Math.min(to, (page + 1) * Pages.BYTES);
            durable.copy(written, page, (int) (at - page * Pages.BYTES), (int) (end - page * Pages.BYTES));
            at = end;
        }
        if (to > durable.size()) durable.resize(to);
    }

    /** Writes back what is dirty. Whether that worked is asked by {@link #failureSince}. */
    void sync() {
        int result = faults(Call.SYNC).next();
        if (result >= 0) {
            for (long page : dirty) durable.copy(written, page, 0, Pages.BYTES);
            durable.resize(written.size());
        } else {
            failures++;
            failure = result;
            failureTold = false;
        }
        dirty.clear();
    }

    /** Where somebody starts who opens the file now: he, too, is to be told of a failure that nobody knows of yet. */
    int firstFailure() {
        return failureTold ? failures : failures - 1;
    }

    /** How many times writing back has failed. */
    int failures() {
        return failures;
    }

    /** What somebody is told who knows of so many failures: 0, or the errno of the last one. */
    int failureSince(int known) {
        if (known == failures) return 0;
        failureTold = true;
        return failure;
    }

    /** Drops the page cache, but for what is dirty. */
    void forget() {
        Pages cache = written;
        written = durable.duplicate();
        written.resize(cache.size());
        for (long page : dirty) written.copy(cache, page, 0, Pages.BYTES);
    }

    int allocate(int mode, long offset, long length) {
        int result = faults(Call.ALLOCATE).next();
        if (result < 0) return result;
        if (offset < 0 || length <= 0) return Errno.EINVAL.result();
        if (mode == 0) return allocate(offset, length);
        boolean punch = mode == (linux_h.FALLOC_FL_PUNCH_HOLE() | linux_h.FALLOC_FL_KEEP_SIZE());
        boolean zero = zeroRange && mode == (linux_h.FALLOC_FL_ZERO_RANGE() | linux_h.FALLOC_FL_KEEP_SIZE());
        if (!punch && !zero) return Errno.EOPNOTSUPP.result();
        long end = Math.min(offset + length, written.size());
        if (end <= offset) return 0;
        written.zero(offset, end);
        changed(offset, end);
        return 0;
    }

    private int allocate(long offset, long length) {
        if (roomAt(offset, length) < length) return Errno.ENOSPC.result();
        if (capacityBytes != Long.MAX_VALUE) {
            for (long page = Pages.page(offset); page * Pages.BYTES < offset + length; page++) written.materialize(page);
        }
        if (offset + length > written.size()) written.resize(offset + length);
        return 0;
    }

    void truncate(long lengthBytes) {
        if (lengthBytes < written.size()) changed(lengthBytes, written.size());
        written.resize(lengthBytes);
    }
}
