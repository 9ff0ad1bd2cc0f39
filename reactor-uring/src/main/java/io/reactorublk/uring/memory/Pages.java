package io.reactorublk.uring.memory;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** Bytes by offset, as far apart as one likes: pages that were never written take no room and read as zeroes. */
final class Pages {

    static final int BYTES = 4096;

    private final TreeMap<Long, byte[]> pages = new TreeMap<>();
    private long size;

    long size() {
        return size;
    }

    /** Makes it longer or shorter; what is cut off reads as zeroes if it ever comes back. */
    void resize(long newSize) {
        if (newSize < size) zero(newSize, size);
        size = newSize;
    }

    /** How many pages take room. */
    int count() {
        return pages.size();
    }

    boolean has(long page) {
        return pages.containsKey(page);
    }

    int read(MemorySegment into, long offset) {
        int count = (int) Math.clamp(size - offset, 0, into.byteSize());
        for (int done = 0; done < count; ) {
            int within = within(offset + done);
            int part = Math.min(count - done, BYTES - within);
            byte @Nullable [] page = pages.get(page(offset + done));
            if (page == null) {
                into.asSlice(done, part).fill((byte) 0);
            } else {
                MemorySegment.copy(page, within, into, JAVA_BYTE, done, part);
            }
            done += part;
        }
        return count;
    }

    void write(MemorySegment from, long offset) {
        for (long done = 0; done < from.byteSize(); ) {
            int within = within(offset + done);
            int part = (int) Math.min(from.byteSize() - done, BYTES - within);
            MemorySegment.copy(from, JAVA_BYTE, done, materialize(page(offset + done)), within, part);
            done += part;
        }
        size = Math.max(size, offset + from.byteSize());
    }

    byte[] materialize(long page) {
        return pages.computeIfAbsent(page, absent -> new byte[BYTES]);
    }

    /** Gives whole pages back, and fills the rest with zeroes. */
    void zero(long from, long to) {
        for (Long page = pages.ceilingKey(page(from)); page != null && page * BYTES < to; page = pages.higherKey(page)) {
            long start = page * BYTES;
            int first = (int) Math.max(from - start, 0);
            int last = (int) Math.min(to - start, BYTES);
            if (first == 0 && last == BYTES) {
                pages.remove(page);
            } else {
                Arrays.fill(pages.get(page), first, last, (byte) 0);
            }
        }
    }

    /** Makes a range, which lies within one page, what it is elsewhere. Does not make this longer. */
    void copy(Pages other, long page, int from, int to) {
        byte @Nullable [] source = other.pages.get(page);
        if (source != null) {
            System.arraycopy(source, from, materialize(page), from, to - from);
        } else if (has(page)) {
            Arrays.fill(materialize(page), from, to, (byte) 0);
        }
    }

    Pages duplicate() {
        Pages duplicate = new Pages();
        pages.forEach((number, bytes) -> duplicate.pages.put(number, bytes.clone()));
        duplicate.size = size;
        return duplicate;
    }

    byte[] toArray() {
        byte[] all = new byte[Math.toIntExact(size)];
        read(MemorySegment.ofArray(all), 0);
        return all;
    }

    static long page(long offset) {
        return offset / BYTES;
    }

    private static int within(long offset) {
        return (int) (offset % BYTES);
    }
}
