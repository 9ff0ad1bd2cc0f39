/**
 * Linux ublk block devices, served with Project Reactor.
 *
 * <p>A queue of a device is a {@code Flux} of requests, a target is a function from that queue to a publisher of
 * completions, and demand is memory lent to the kernel: what nobody asked for waits there. Start with
 * {@link io.reactorublk.UblkServer} and {@link io.reactorublk.BlockTarget}.
 */
@NullMarked
package io.reactorublk;

import org.jspecify.annotations.NullMarked;
