package io.reactorublk.uring;

/** {@link RingLinuxIT} on the kernel that devices are tested on, which knows more than this machine's may. */
class RingVmIT extends RingLinuxIT {}
