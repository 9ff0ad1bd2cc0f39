package io.reactorublk.samples.mirror;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Optional;
import java.util.UUID;
import java.util.zip.CRC32C;

/**
 * What a replica says of itself and of its set.
 *
 * <pre>
 *   file      0 ┌───────────────────────┐     header      0  magic "RUBLKMIR"
 *               │ header, even          │                 8  version u32
 *               │ generations           │                12  member u8, members u8, quorum u8, flags u8 (1: open)
 *          4096 ├───────────────────────┤                16  set id, 16 bytes
 *               │ header, odd           │                32  generation u64
 *               │ generations           │                40  data bytes u64
 *          8192 ├───────────────────────┤                48  live members u32, bit i for member i
 *               │ room for a bitmap     │                52  zero
 *         1 MiB ├───────────────────────┤               508  CRC-32C of the bytes 0 to 507, u32
 *               │ data                  │               512
 *               ┆                       ┆               all little endian
 * </pre>
 *
 * <p>A header is 512 bytes, the least that any disk writes whole, and each generation goes to the other place than the one
 * before: a write that is torn all the same leaves the older header.
 *
 * <p>The newest header of a set tells who is live; a stale replica does not know it, as nobody writes to it any more.
 *
 * @param member which of the members this replica is, from 0
 * @param members how many the set has
 * @param quorum how many must have a write before it is acknowledged
 * @param open the set is in use, or was not closed: its replicas may differ where writes were in flight
 * @param generation one more with every change
 * @param dataBytes the size of the device
 * @param live a bit for every member that has all acknowledged writes; the others are stale
 */
record ReplicaHeader(UUID set, int member, int members, int quorum, boolean open, long generation, long dataBytes, int live) {

    static final int MIN_MEMBERS = 2;
    static final int MAX_MEMBERS = 8;
    static final long DATA_OFFSET = 1 << 20;
    /** The distance of the two places, and what is written of a header: no disk has larger sectors. */
    static final int SLOT_BYTES = 4096;
    static final int SLOTS = 2;

    private static final int BYTES = 512;
    private static final int CHECKSUM = BYTES - Integer.BYTES;
    private static final long MAGIC = ByteBuffer.wrap("RUBLKMIR".getBytes(java.nio.charset.StandardCharsets.US_ASCII))
            .order(ByteOrder.LITTLE_ENDIAN).getLong();
    private static final int VERSION = 1;
    private static final int OPEN = 1;

    /** The first header of a set's member: all are live and equal. */
    static ReplicaHeader first(UUID set, int member, int members, int quorum, long dataBytes) {
        return new ReplicaHeader(set, member, members, quorum, false, 1, dataBytes, (1 << members) - 1);
    }

    /** The next generation. */
    ReplicaHeader next(int live, boolean open) {
        return new ReplicaHeader(set, member, members, quorum, open, generation + 1, dataBytes, live);
    }

    /** The same, as another member says it. */
    ReplicaHeader of(int member) {
        return new ReplicaHeader(set, member, members, quorum, open, generation, dataBytes, live);
    }

    ReplicaHeader withQuorum(int quorum) {
        return new ReplicaHeader(set, member, members, quorum, open, generation, dataBytes, live);
    }

    boolean isLive(int member) {
        return (live >> member & 1) != 0;
    }

    int stale() {
        return ~live & (1 << members) - 1;
    }

    /** Where in the file this generation belongs. */
    long slotOffset() {
        return (generation & 1) * SLOT_BYTES;
    }

    /** Writes a whole slot. */
    void encode(ByteBuffer slot) {
        ByteBuffer out = slot.slice(slot.position(), SLOT_BYTES).order(ByteOrder.LITTLE_ENDIAN);
        while (out.hasRemaining()) out.putLong(0);
        out.putLong(0, MAGIC).putInt(8, VERSION);
        out.put(12, (byte) member).put(13, (byte) members).put(14, (byte) quorum).put(15, (byte) (open ? OPEN : 0));
        out.putLong(16, set.getMostSignificantBits()).putLong(24, set.getLeastSignificantBits());
        out.putLong(32, generation).putLong(40, dataBytes).putInt(48, live);
        out.putInt(CHECKSUM, checksum(out));
    }

    /**
     * The header in this slot, if there is one.
     *
     * @throws MirrorException if there is one that cannot be trusted
     */
    static Optional<ReplicaHeader> decode(ByteBuffer slot) {
        ByteBuffer in = slot.slice(slot.position(), BYTES).order(ByteOrder.LITTLE_ENDIAN);
        if (in.getLong(0) != MAGIC) return Optional.empty();
        if (in.getInt(CHECKSUM) != checksum(in)) throw new MirrorException("its header is damaged: the checksum does not match");
        if (in.getInt(8) != VERSION) {
            throw new MirrorException("its header has version " + in.getInt(8) + "; this program knows version " + VERSION);
        }
        ReplicaHeader header = new ReplicaHeader(new UUID(in.getLong(16), in.getLong(24)), in.get(12), in.get(13), in.get(14),
                (in.get(15) & OPEN) != 0, in.getLong(32), in.getLong(40), in.getInt(48));
        if (!header.isSane()) throw new MirrorException("its header makes no sense: " + header);
        return Optional.of(header);
    }

    /**
     * The newest header of both slots: one that is damaged was being written when the power went, and the other counts.
     *
     * @param slots both, one after the other
     * @throws MirrorException if neither is good
     */
    static ReplicaHeader newest(ByteBuffer slots) {
        ReplicaHeader newest = null;
        MirrorException damage = new MirrorException("it has no replica header");
        for (int i = 0; i < SLOTS; i++) {
            try {
                ReplicaHeader header = decode(slots.slice(i * SLOT_BYTES, SLOT_BYTES)).orElse(null);
                if (header != null && (newest == null || header.generation > newest.generation)) newest = header;
            } catch (MirrorException e) {
                damage = e;
            }
        }
        if (newest == null) throw damage;
        return newest;
    }

    private boolean isSane() {
        return members >= MIN_MEMBERS && members <= MAX_MEMBERS && member >= 0 && member < members
                && quorum >= 1 && quorum <= members && generation > 0 && dataBytes > 0 && live != 0 && live >>> members == 0;
    }

    private static int checksum(ByteBuffer header) {
        CRC32C crc = new CRC32C();
        crc.update(header.slice(0, CHECKSUM));
        return (int) crc.getValue();
    }
}
