/**
 * The kernel's half of ublk in memory: a driver for {@link io.reactorublk.uring.memory.MemoryKernel}, the disks that
 * applications use, and what a test of a target needs beside {@code StepVerifier}. Everything above the kernel runs
 * unchanged; nothing here needs Linux, root or native access.
 */
@NullMarked
package io.reactorublk.memory;

import org.jspecify.annotations.NullMarked;
