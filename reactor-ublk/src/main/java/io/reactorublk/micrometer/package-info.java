/**
 * What the queues of a device tell, as meters of Micrometer: give {@link io.reactorublk.micrometer.UblkMetrics} to
 * {@link io.reactorublk.UblkServer#listener} and {@link io.reactorublk.UblkServer#controlListener}. Needs {@code io.micrometer:micrometer-core}, which nothing else here does.
 */
@NullMarked
package io.reactorublk.micrometer;

import org.jspecify.annotations.NullMarked;
