package io.reactorublk.uring.memory;

import io.reactorublk.uring.Errno;
import io.reactorublk.uring.KernelException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What a driver plugs into a {@link MemoryKernel}: something that is opened by its path, mapped, and given commands through
 * a ring. Mirrors the {@code struct file_operations} of a Linux driver, as far as an io_uring driver has any.
 *
 * <p>Everything here is called on the simulation's one thread, and answers at once.
 */
public interface CharacterDevice {

    /**
     * {@code open(2)}.
     *
     * @return the state of this open file
     * @throws KernelException to refuse
     */
    OpenFile open(MemoryKernel kernel);

    /** One open file of the device; descriptors made from it, and places in rings' file tables, refer to it together. */
    interface OpenFile {

        /**
         * {@code mmap(2)}: memory of the driver's, allocated by {@link MemoryKernel#allocate} from this arena.
         *
         * @throws KernelException to refuse
         */
        MemorySegment mmap(long offset, long length, Arena arena);

        /**
         * An {@code IORING_OP_URING_CMD}. The driver completes it, now or later.
         *
         * @throws KernelException to complete it with that error
         */
        void command(Command command);

        /**
         * {@code pread(2)}, {@code preadv(2)}: {@code read_iter}, in a worker's time. Memory of the process only; registered
         * buffers are refused with EACCES before this is asked, as by a driver that wants {@code user_backed_iter}.
         *
         * @return how many bytes were read, or a negative errno; EINVAL for a device that cannot be read
         */
        default int read(List<MemorySegment> into, long offset) {
            return Errno.EINVAL.result();
        }

        /**
         * {@code pwrite(2)}, {@code pwritev(2)}: {@code write_iter}, as {@link #read}.
         *
         * @return how many bytes were written, or a negative errno
         */
        default int write(List<MemorySegment> from, long offset) {
            return Errno.EINVAL.result();
        }

        /**
         * The last reference is gone: the file is closed, and no command of it is in flight. Mappings do not count here;
         * ask what {@link #mmap} returned whether it is still alive.
         */
        void release();
    }

    /** What operations may do with registered pages; the other is EFAULT. */
    enum Direction {
        /** {@code ITER_SOURCE}: they are written to files. */
        SOURCE,
        /** {@code ITER_DEST}: files are read into them. */
        DESTINATION
    }

    /** One command in flight, {@code struct io_uring_cmd}. */
    interface Command {

        /** {@code cmd_op}. */
        int operation();

        /** The 16 bytes of a small entry's payload, or the 80 of a large one's; a copy of its own. */
        MemorySegment payload();

        /** {@code addr} of the entry. */
        long address();

        /** {@code len} of the entry. */
        int length();

        /**
         * Memory of the process.
         *
         * @throws KernelException EFAULT, if that is not all there
         */
        MemorySegment memory(long address, long length);

        /** Ends the command: its last completion. */
        void complete(int result);

        /** Whether it was given as multishot, with a group of lent memory to take from. */
        boolean isMultishot();

        /**
         * {@code io_uring_cmd_buffer_select}: what is left of the memory lent first, not yet used up; null if nothing is
         * lent.
         */
        @Nullable MemorySegment selectBuffer();

        /**
         * {@code io_uring_mshot_cmd_post_cqe}: uses up so many bytes of what was selected and says so in a completion with
         * {@code MORE}.
         *
         * @return false if the completion queue is full; the bytes are used up all the same, as in Linux 7.2
         */
        boolean post(int bytes);

        /** What to do when the ring is closed: the driver must then complete the command, or forget it. */
        void onCancel(Runnable cancelled);

        /** {@code io_uring_cmd_complete_in_task}: runs something inside the next {@code io_uring_enter} of the ring. */
        void inTaskWork(Runnable work);

        /** Runs something at a later moment that the kernel chooses, as a worker of it does with what may block. */
        void later(Runnable work);

        /**
         * {@code io_buffer_register_bvec}: puts memory of the driver's into the ring's table of registered buffers, where
         * addresses count from 0. No address of the process leads there.
         *
         * @param released called when nobody uses it any more: it was taken out, and the last operation on it has ended
         * @return 0, or a negative errno
         */
        int registerBuffer(int index, MemorySegment pages, Direction direction, Runnable released);

        /**
         * {@code io_buffer_unregister_bvec}: takes such memory out of the table.
         *
         * @return 0, or a negative errno
         */
        int unregisterBuffer(int index);

        /** {@code io_uring_cmd_ctx_handle}: which ring it was given to; equal for commands of the same one. */
        Object ring();
    }
}
