package io.reactorublk.samples.mirror;

import reactor.core.publisher.Mono;

/** Where a member keeps its header, as the loop of the {@link MirrorSet} uses it. */
interface HeaderStore {

    /** Makes a header durable. */
    Mono<Void> write(ReplicaHeader header);

    /** Makes all data durable that any queue has written. */
    Mono<Void> flush();
}
