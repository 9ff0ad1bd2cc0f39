/**
 * A mapped volume: a disk larger than the file it is on, whose extents get their place when they are first written.
 *
 * <p>Start with {@link io.reactorublk.samples.mapped.MappedTarget}, which answers requests, and
 * {@code ExtentMap}, which knows where everything is.
 */
@NullMarked
package io.reactorublk.samples.mapped;

import org.jspecify.annotations.NullMarked;
