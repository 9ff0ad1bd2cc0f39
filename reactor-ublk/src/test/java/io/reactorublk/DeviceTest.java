package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.reactorublk.MemoryDevices.Chance;
import io.reactorublk.memory.MemoryUblk;
import io.reactorublk.uring.Kernel;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.MethodSource;

/** The contracts of a device, on a kernel in memory: in order, and by some seeds. */
class DeviceTest {

    @Nested
    @ParameterizedClass
    @MethodSource("io.reactorublk.MemoryDevices$Chance#all")
    class Operations extends OperationContract {

        @Parameter
        Chance chance;

        @Override
        DeviceFixture newFixture() {
            return chance.devices();
        }
    }

    @Nested
    @ParameterizedClass
    @MethodSource("io.reactorublk.MemoryDevices$Chance#all")
    class Answers extends AnswerContract {

        @Parameter
        Chance chance;

        @Override
        DeviceFixture newFixture() {
            return chance.devices();
        }
    }

    @Nested
    @ParameterizedClass
    @MethodSource("io.reactorublk.MemoryDevices$Chance#all")
    class Demand extends DemandContract {

        @Parameter
        Chance chance;

        @Override
        DeviceFixture newFixture() {
            return chance.devices();
        }
    }

    @Nested
    @ParameterizedClass
    @MethodSource("io.reactorublk.MemoryDevices$Chance#all")
    class LostTargets extends LostTargetContract {

        @Parameter
        Chance chance;

        @Override
        DeviceFixture newFixture() {
            return chance.devices();
        }
    }

    @Nested
    @ParameterizedClass
    @MethodSource("io.reactorublk.MemoryDevices$Chance#all")
    class Stopping extends StopContract {

        @Parameter
        Chance chance;

        @Override
        DeviceFixture newFixture() {
            return chance.devices();
        }
    }

    @Nested
    @ParameterizedClass
    @MethodSource("io.reactorublk.MemoryDevices$Chance#all")
    class Starting extends StartContract {

        @Parameter
        Chance chance;

        @Override
        DeviceFixture newFixture() {
            return chance.devices();
        }
    }

    @Nested
    @ParameterizedClass
    @MethodSource("io.reactorublk.MemoryDevices$Chance#all")
    class Control extends ControlContract {

        @Parameter
        Chance chance;

        @Override
        DeviceFixture newFixture() {
            return chance.devices();
        }
    }

    @Nested
    @ParameterizedClass
    @MethodSource("io.reactorublk.MemoryDevices$Chance#all")
    class Recovering extends RecoveryContract {

        @Parameter
        Chance chance;

        @Override
        DeviceFixture newFixture() {
            return chance.devices();
        }
    }

    @Nested
    @ParameterizedClass
    @MethodSource("io.reactorublk.MemoryDevices$Chance#all")
    class HandingOver extends HandOverContract {

        @Parameter
        Chance chance;

        @Override
        DeviceFixture newFixture() {
            return chance.devices();
        }
    }

    /** Whoever turns it learns of its death, too. */
    @Test
    void aLoopThatDiesBeforeItServesFailsTheStart() {
        MemoryDevices devices = new MemoryDevices(MemoryUblk.create());
        Kernel poor = FaultyKernel.failing(devices.kernel(), "mlock", new OutOfMemoryError("a test"));
        CompletableFuture<UblkDevice> started =
                UblkServer.create().kernel(poor).size(1 << 20).serve(new RecordingTarget(1 << 20)).start().toFuture();
        assertThatThrownBy(devices::settle).isInstanceOf(OutOfMemoryError.class);
        assertThatThrownBy(() -> devices.get(started)).hasRootCauseInstanceOf(OutOfMemoryError.class);
        assertThat(devices.footprint()).as("devices").startsWith("[]");
    }
}
