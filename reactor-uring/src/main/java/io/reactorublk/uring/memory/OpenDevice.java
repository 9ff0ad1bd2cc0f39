package io.reactorublk.uring.memory;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;

/** A character device somebody has opened. */
final class OpenDevice extends Description {

    private final CharacterDevice.OpenFile file;

    OpenDevice(int flags, CharacterDevice.OpenFile file) {
        super(flags);
        this.file = file;
    }

    void command(CharacterDevice.Command command) {
        file.command(command);
    }

    /** Without {@code FMODE_NOWAIT}, so that a worker reads and writes it. */
    @Override
    boolean isStorage() {
        return true;
    }

    @Override
    boolean takesRegisteredMemory() {
        return false;
    }

    @Override
    int read(List<MemorySegment> pieces, long offset) {
        return file.read(pieces, offset);
    }

    @Override
    int write(List<MemorySegment> pieces, long offset, boolean durable) {
        return file.write(pieces, offset);
    }

    @Override
    MemorySegment map(long offset, long length, Arena arena) {
        return file.mmap(offset, length, arena);
    }

    @Override
    void released() {
        file.release();
    }

    @Override
    int mode() {
        return S_IFCHR | 0600;
    }
}
