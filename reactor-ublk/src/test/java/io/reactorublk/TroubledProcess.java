package io.reactorublk;

import io.reactorublk.target.FileTarget;
import io.reactorublk.target.RamTarget;
import java.io.FileInputStream;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import reactor.core.publisher.Mono;

/**
 * A server in a process of its own, which gets into trouble when an application reads the second block of its device: while it
 * serves, that is, and not when it starts: the kernel does not look for partitions, whose header would be that very block.
 */
final class TroubledProcess {

    static final long DEVICE_BYTES = 32 << 20;
    static final int BLOCK_BYTES = 4096;

    /** What may happen. */
    enum Trouble {
        NONE,
        /** The heap is full in the target, and empty again once it has thrown. */
        FULL_HEAP_IN_TARGET,
        /** The heap is full on the loop, outside the target's reach. */
        FULL_HEAP_ON_LOOP,
        /** Not one more file can be opened. */
        NO_DESCRIPTORS
    }

    /** Reachable from here, and so never closed: what is collected gives its descriptor back. */
    private static final List<FileInputStream> NEVER_CLOSED = new ArrayList<>();

    private TroubledProcess() {}

    /** The process: {@code TROUBLE [FILE]}; a disk in memory without a file. */
    public static void main(String[] args) {
        Trouble trouble = Trouble.valueOf(args[0]);
        BlockTarget disk = args.length > 1 ? FileTarget.of(Path.of(args[1])) : new RamTarget(DEVICE_BYTES);
        UblkServer server = UblkServer.create().size(DEVICE_BYTES).blockSize(BLOCK_BYTES).queueDepth(16).withoutPartitionScan()
                .serve(queue -> disk.serve(queue.holdUntil(request -> request.operation() == Operation.READ
                        && request.offset() == BLOCK_BYTES ? start(trouble, queue, request) : Mono.just(request))));
        UblkDevice device = Objects.requireNonNull(server.start().block(LinuxDevices.LIMIT));
        System.out.println(ServerProcess.SERVING + device.path());
        device.onDispose().onErrorResume(e -> Mono.fromRunnable(() -> System.out.println("ended with " + e))).block();
        Mono.never().block();
    }

    /**
     * A loop that is about to die serves the request never, or the turn would answer it first. Without descriptors no class can be
     * read, so nothing is used here that was not before.
     */
    private static Mono<BlockRequest> start(Trouble trouble, BlockQueue queue, BlockRequest request) {
        switch (trouble) {
            case NONE -> { }
            case FULL_HEAP_IN_TARGET -> fillHeap();
            case FULL_HEAP_ON_LOOP -> {
                queue.loop().schedule(TroubledProcess::fillHeap);
                return Mono.never();
            }
            case NO_DESCRIPTORS -> useUpDescriptors();
        }
        return Mono.just(request);
    }

    private static void fillHeap() {
        List<byte[]> kept = new ArrayList<>();
        do {
            kept.add(new byte[1 << 20]);
        } while (!kept.isEmpty());
    }

    private static void useUpDescriptors() {
        try {
            do {
                NEVER_CLOSED.add(new FileInputStream("/dev/null"));
            } while (!NEVER_CLOSED.isEmpty());
        } catch (IOException noneIsLeft) {
            // As intended.
        }
    }
}
