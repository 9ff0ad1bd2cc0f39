package io.reactorublk.samples.mirror;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.UUID;
import org.junit.jupiter.api.Test;

class ReplicaHeaderTest {

    private static final int HEADER_BYTES = 512;

    private final ReplicaHeader first = ReplicaHeader.first(new UUID(0x0102030405060708L, 0x090a0b0c0d0e0f10L), 1, 3, 2, 1 << 28);
    private final ByteBuffer slots = ByteBuffer.allocate(ReplicaHeader.SLOTS * ReplicaHeader.SLOT_BYTES);

    private void write(ReplicaHeader header) {
        header.encode(slots.slice((int) header.slotOffset(), ReplicaHeader.SLOT_BYTES));
    }

    @Test
    void isReadAsItWasWritten() {
        ReplicaHeader later = first.next(0b101, true);
        write(later);

        assertThat(ReplicaHeader.newest(slots)).isEqualTo(later);
    }

    @Test
    void hasTheLayoutThatIsDrawn() {
        ReplicaHeader header = new ReplicaHeader(first.set(), 1, 3, 2, true, 0x1122334455667788L, 1 << 28, 0b101);
        write(header);

        ByteBuffer slot = slots.slice(0, ReplicaHeader.SLOT_BYTES).order(ByteOrder.LITTLE_ENDIAN);
        assertThat(StandardCharsets.US_ASCII.decode(slot.slice(0, 8)).toString()).isEqualTo("RUBLKMIR");
        assertThat(slot.getInt(8)).isEqualTo(1);
        assertThat(new byte[] {slot.get(12), slot.get(13), slot.get(14), slot.get(15)}).containsExactly(1, 3, 2, 1);
        assertThat(slot.getLong(16)).isEqualTo(0x0102030405060708L);
        assertThat(slot.getLong(24)).isEqualTo(0x090a0b0c0d0e0f10L);
        assertThat(slot.getLong(32)).isEqualTo(0x1122334455667788L);
        assertThat(slot.getLong(40)).isEqualTo(1 << 28);
        assertThat(slot.getInt(48)).isEqualTo(0b101);
    }

    @Test
    void theNewestOfTwoCounts() {
        write(first);
        write(first.next(0b101, true));
        assertThat(ReplicaHeader.newest(slots).generation()).isEqualTo(2);

        write(first.next(0b101, true).next(0b001, true));
        assertThat(ReplicaHeader.newest(slots).generation()).isEqualTo(3);
    }

    @Test
    void aTornWriteLeavesTheHeaderBefore() {
        write(first);
        ReplicaHeader later = first.next(0b101, true);
        ByteBuffer whole = ByteBuffer.allocate(ReplicaHeader.SLOT_BYTES);
        later.encode(whole);
        int slot = (int) later.slotOffset();
        for (int torn = 0; torn < HEADER_BYTES; torn++) {
            assertThat(ReplicaHeader.newest(slots)).as("after %d bytes", torn).isEqualTo(first);
            slots.put(slot + torn, whole.get(torn));
        }
        assertThat(ReplicaHeader.newest(slots)).isEqualTo(later);
    }

    @Test
    void everyDamagedByteIsNoticed() {
        write(first);
        int slot = (int) first.slotOffset();
        for (int at = 0; at < HEADER_BYTES; at++) {
            slots.put(slot + at, (byte) ~slots.get(slot + at));
            assertThatThrownBy(() -> ReplicaHeader.newest(slots)).as("byte %d", at).isInstanceOf(MirrorException.class);
            slots.put(slot + at, (byte) ~slots.get(slot + at));
        }
    }

    @Test
    void tellsDamageFromAbsence() {
        assertThatThrownBy(() -> ReplicaHeader.newest(slots)).hasMessageContaining("no replica header");
        write(first);
        slots.put((int) first.slotOffset() + 40, (byte) 7);
        assertThatThrownBy(() -> ReplicaHeader.newest(slots)).hasMessageContaining("checksum");
    }

    @Test
    void anotherVersionIsRefusedByName() {
        write(first);
        ByteBuffer slot = slots.slice((int) first.slotOffset(), HEADER_BYTES).order(ByteOrder.LITTLE_ENDIAN);
        slot.putInt(8, 2);
        java.util.zip.CRC32C crc = new java.util.zip.CRC32C();
        crc.update(slot.slice(0, HEADER_BYTES - 4));
        slot.putInt(HEADER_BYTES - 4, (int) crc.getValue());

        assertThatThrownBy(() -> ReplicaHeader.newest(slots)).hasMessageContaining("version 2");
    }
}
