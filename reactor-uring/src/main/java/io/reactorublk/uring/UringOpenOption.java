package io.reactorublk.uring;

import java.nio.file.OpenOption;

/** What {@link java.nio.file.StandardOpenOption} has no word for. */
public enum UringOpenOption implements OpenOption {

    /**
     * {@code O_DIRECT}: past the page cache. Offsets, lengths and memory must then be multiples of what
     * {@link FileStatus} reports; on most disks 512 or 4096 bytes.
     */
    DIRECT
}
