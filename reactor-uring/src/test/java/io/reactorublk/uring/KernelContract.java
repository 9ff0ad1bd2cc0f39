package io.reactorublk.uring;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;

/** What every contract has: a world of its own for each test, and memory in it. */
abstract class KernelContract {

    World world;
    Arena arena;

    /** A new world. Each test gets one. */
    abstract World newWorld();

    @BeforeEach
    final void createWorld() {
        world = newWorld();
        arena = Arena.ofShared();
    }

    @AfterEach
    final void closeWorld() {
        arena.close();
        world.close();
    }

    final Kernel kernel() {
        return world.kernel();
    }

    final MemorySegment memory(long lengthBytes) {
        return kernel().allocate(lengthBytes, arena);
    }

    final IoBuffer.Segment buffer(int lengthBytes) {
        return new IoBuffer.Segment(memory(lengthBytes));
    }

    final IoBuffer.Segment buffer(String text) {
        IoBuffer.Segment buffer = buffer(text.length());
        MemorySegment.copy(bytes(text), 0, buffer.memory(), ValueLayout.JAVA_BYTE, 0, text.length());
        return buffer;
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.US_ASCII);
    }

    static String text(MemorySegment memory, long offset, long lengthBytes) {
        return new String(memory.asSlice(offset, lengthBytes).toArray(ValueLayout.JAVA_BYTE), StandardCharsets.US_ASCII);
    }

    static String text(IoBuffer.Segment buffer) {
        return text(buffer.memory(), 0, buffer.length());
    }
}
