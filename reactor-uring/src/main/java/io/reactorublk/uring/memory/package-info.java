/**
 * The other side of the door: a {@link io.reactorublk.uring.Kernel} in memory. It executes the bytes of real submission
 * queues and posts real completions, so that everything above runs unchanged: without Linux, without privileges, without
 * native access, on one thread, and twice the same way.
 */
@NullMarked
package io.reactorublk.uring.memory;

import org.jspecify.annotations.NullMarked;
