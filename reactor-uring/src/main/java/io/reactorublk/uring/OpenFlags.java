package io.reactorublk.uring;

import io.reactorublk.uring.abi.linux_h;
import java.nio.file.OpenOption;
import java.nio.file.StandardOpenOption;

/** {@code O_*} of {@code open(2)} from Java's options. */
final class OpenFlags {

    private OpenFlags() {}

    /**
     * The flags for these options; without READ or WRITE a file is opened for reading.
     *
     * @throws UnsupportedOperationException for an option we do not have, saying what to do instead
     * @throws IllegalArgumentException for options that contradict each other
     */
    static int of(OpenOption... options) {
        boolean read = false;
        boolean write = false;
        int flags = linux_h.O_CLOEXEC();
        for (OpenOption option : options) {
            if (option == StandardOpenOption.READ) read = true;
            else if (option == StandardOpenOption.WRITE) write = true;
            else flags |= flag(option);
        }
        int changing = linux_h.O_CREAT() | linux_h.O_TRUNC();
        if (!write && (flags & changing) != 0) {
            throw new IllegalArgumentException("CREATE, CREATE_NEW and TRUNCATE_EXISTING need WRITE");
        }
        if (!write) return flags | linux_h.O_RDONLY();
        return flags | (read ? linux_h.O_RDWR() : linux_h.O_WRONLY());
    }

    private static int flag(OpenOption option) {
        return switch (option) {
            case UringOpenOption.DIRECT -> linux_h.O_DIRECT();
            case StandardOpenOption.CREATE -> linux_h.O_CREAT();
            case StandardOpenOption.CREATE_NEW -> linux_h.O_CREAT() | linux_h.O_EXCL();
            case StandardOpenOption.TRUNCATE_EXISTING -> linux_h.O_TRUNC();
            case StandardOpenOption.DSYNC -> linux_h.O_DSYNC();
            case StandardOpenOption.SYNC -> linux_h.O_SYNC();
            default -> throw new UnsupportedOperationException(
                    "a file cannot be opened with " + option + ": " + remedy(option));
        };
    }

    private static String remedy(OpenOption option) {
        return switch (option) {
            case StandardOpenOption.APPEND -> "every write names its offset; the end is status().size()";
            case StandardOpenOption.DELETE_ON_CLOSE -> "delete it with Files.delete";
            case StandardOpenOption.SPARSE -> "leave it out, Linux makes files sparse by itself";
            default -> option.toString().equals("DIRECT") ? "use UringOpenOption.DIRECT"
                    : "there are READ, WRITE, CREATE, CREATE_NEW, TRUNCATE_EXISTING, DSYNC, SYNC and UringOpenOption.DIRECT";
        };
    }

    static boolean isDirect(int flags) {
        return (flags & linux_h.O_DIRECT()) != 0;
    }

    /** For a person: what the file was opened for. */
    static String purpose(int flags) {
        if ((flags & linux_h.O_RDWR()) != 0) return "reading and writing";
        return (flags & linux_h.O_WRONLY()) != 0 ? "writing" : "reading";
    }
}
