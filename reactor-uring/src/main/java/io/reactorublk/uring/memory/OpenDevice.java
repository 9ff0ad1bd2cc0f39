package io.reactorublk.uring.memory;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

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
