/**
 * io_uring for Project Reactor: a ring in Java on raw system calls, an event loop that is a Reactor
 * {@link reactor.core.scheduler.Scheduler}, and files whose operations are {@link reactor.core.publisher.Mono}s.
 *
 * <p>Start with {@link io.reactorublk.uring.EventLoop} and {@link io.reactorublk.uring.UringFile}; go down to
 * {@link io.reactorublk.uring.Ring} only to issue an operation that nobody wrapped yet. {@link io.reactorublk.uring.Kernel}
 * is the one door to the operating system.
 */
@NullMarked
package io.reactorublk.uring;

import org.jspecify.annotations.NullMarked;
