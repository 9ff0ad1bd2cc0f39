package io.reactorublk.samples.mapped;

import io.reactorublk.DataMode;
import io.reactorublk.UblkDevice;
import io.reactorublk.UblkServer;
import java.nio.file.Path;

/** What the manual shows. Here so that it compiles. */
final class MappedExample {

    private MappedExample() {}

    static void serve() {
        // tag::serve[]
        try (MappedTarget volume = MappedTarget.open(Path.of("data"), Path.of("map"), 1L << 40, 1 << 20)) {
            UblkServer.create().size(volume.sizeBytes()).blockSize(4096).fua()
                    .dataMode(DataMode.ZERO_COPY)
                    .serve(volume)
                    .start().flatMap(UblkDevice::onDispose).block();
        }
        // end::serve[]
    }
}
