/**
 * A mirror: a block device whose data is kept on several replicas, and which loses nothing as long as one of them is left.
 *
 * <p>Start with {@link io.reactorublk.samples.mirror.MirrorTarget}, which answers requests, and
 * {@link io.reactorublk.samples.mirror.MirrorSet}, which knows who is a replica and who no longer is.
 */
@NullMarked
package io.reactorublk.samples.mirror;

import org.jspecify.annotations.NullMarked;
