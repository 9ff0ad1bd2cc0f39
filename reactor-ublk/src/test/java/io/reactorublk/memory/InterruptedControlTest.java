package io.reactorublk.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.reactorublk.ControlListener;
import io.reactorublk.Recovery;
import io.reactorublk.UblkControl;
import io.reactorublk.UblkDevice;
import io.reactorublk.UblkServer;
import io.reactorublk.abi.ublk_cmd_h;
import io.reactorublk.target.NullTarget;
import io.reactorublk.uring.Errno;
import io.reactorublk.uring.KernelException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * A signal can end what a worker of the kernel does for a control command, with EINTR, or EAGAIN where the kernel lets it be tried
 * again: the command is given again, its listener hears of it once, and its deadline holds. No test can have that of a real kernel.
 */
class InterruptedControlTest {

    private static final int OFTEN = 5;

    private final List<String> told = new ArrayList<>();

    private UblkServer server(MemoryUblk ublk) {
        ControlListener listener = (command, id, refusal, nanos) -> told.add(command + " " + (refusal == null ? "ok" : refusal));
        return UblkServer.create().kernel(ublk.kernel()).size(1 << 20).queueDepth(2).maxIoBytes(4096).recovery(Recovery.REISSUE)
                .controlListener(listener).serve(new NullTarget());
    }

    /** Every command that a server gives. Returns what was told of them. */
    private List<String> live(MemoryUblk ublk) {
        told.clear();
        UblkServer server = server(ublk);
        UblkDevice device = Objects.requireNonNull(ublk.get(server.start()));
        ublk.get(device.resize(2 << 20));
        ublk.get(device.handOver());
        device = Objects.requireNonNull(ublk.get(server.recover(device.id())));
        ublk.get(device.disposeLater());
        ublk.assertNothingIsLeft();
        // A look that comes too early is no refusal, and how many there are is a matter of time.
        return told.stream().filter(command -> !command.startsWith("GET_DEV_INFO")).toList();
    }

    private List<String> undisturbed() {
        try (MemoryUblk ublk = MemoryUblk.create()) {
            return live(ublk);
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"EINTR", "EAGAIN"})
    void whicheverCommandASignalMeetsIsGivenAgainAndToldOnce(Errno errno) {
        List<String> undisturbed = undisturbed();
        assertThat(undisturbed).contains("ADD_DEV ok", "SET_PARAMS ok", "START_DEV ok", "UPDATE_SIZE ok", "GET_PARAMS ok",
                "START_USER_RECOVERY ok", "END_USER_RECOVERY ok", "STOP_DEV ok", "DEL_DEV ok");
        int met = 0;
        AtomicInteger commands = new AtomicInteger();
        do {
            met++;
            int nth = met;
            commands.set(0);
            try (MemoryUblk ublk = MemoryUblk.create()) {
                ublk.interruptControl(operation -> commands.incrementAndGet() == nth ? errno : null);
                assertThat(live(ublk)).as("a signal met command %d", nth).isEqualTo(undisturbed);
            }
        } while (commands.get() > met);
        assertThat(met).as("commands that were met").isGreaterThanOrEqualTo(9);
    }

    @ParameterizedTest
    @EnumSource(names = {"EINTR", "EAGAIN"})
    void howeverOftenASignalComes(Errno errno) {
        Map<Long, Integer> signals = new HashMap<>();
        try (MemoryUblk ublk = MemoryUblk.create()) {
            ublk.interruptControl(operation -> signals.merge(operation, 1, Integer::sum) % OFTEN != 0 ? errno : null);
            assertThat(live(ublk)).isEqualTo(undisturbed());
        }
        assertThat(signals.values()).allMatch(count -> count >= OFTEN);
    }

    @ParameterizedTest
    @EnumSource(names = {"EINTR", "EAGAIN"})
    void theDeadlineHoldsAllTheSame(Errno errno) {
        try (MemoryUblk ublk = MemoryUblk.create()) {
            ublk.interruptControl(operation -> operation == ublk_cmd_h.UBLK_U_CMD_START_DEV() ? errno : null);
            long start = ublk.kernel().nanoTime();
            KernelException refusal = catchThrowableOfType(KernelException.class,
                    () -> ublk.get(server(ublk).controlDeadline(Duration.ofSeconds(3)).start()));
            assertThat(refusal).isNotNull();
            assertThat(refusal.errno()).isEqualTo(Errno.ETIMEDOUT);
            assertThat(Duration.ofNanos(ublk.kernel().nanoTime() - start)).isBetween(Duration.ofSeconds(3), Duration.ofSeconds(8));
            assertThat(told).filteredOn(command -> command.startsWith("START_DEV")).containsExactly("START_DEV ETIMEDOUT");
            ublk.assertNothingIsLeft();
        }
    }

    /** Nobody waits for a command that is to be given again, and again. */
    @Test
    void whoCancelsEndsTheTrying() {
        AtomicInteger commands = new AtomicInteger();
        try (MemoryUblk ublk = MemoryUblk.create()) {
            UblkDevice device = Objects.requireNonNull(ublk.get(server(ublk).start()));
            ublk.interruptControl(operation -> {
                commands.incrementAndGet();
                return Errno.EINTR;
            });
            UblkControl control = UblkControl.create(ublk.kernel(), Duration.ofSeconds(30));
            control.parameters(device.id()).subscribe().dispose();
            ublk.advanceTime(Duration.ofSeconds(1));
            int tried = commands.get();
            ublk.advanceTime(Duration.ofSeconds(10));
            assertThat(commands).hasValue(tried);
            ublk.interruptControl(operation -> null);
            assertThat(Objects.requireNonNull(ublk.get(control.parameters(device.id()))).sizeBytes()).isEqualTo(1 << 20);
            control.close();
            ublk.get(device.disposeLater());
        }
    }
}
