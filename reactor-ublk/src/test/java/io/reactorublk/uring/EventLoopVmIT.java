package io.reactorublk.uring;

/** {@link EventLoopLinuxIT} on the kernel that devices are tested on, which knows more than this machine's may. */
class EventLoopVmIT extends EventLoopLinuxIT {}
