package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import io.reactorublk.memory.MemoryUblk;
import io.reactorublk.target.NullTarget;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.slf4j.LoggerFactory;

/** Servers die at every step there is: a new one has to be in the lists. */
class StepsTest {

    private final Logger logger = (Logger) LoggerFactory.getLogger(LifecycleSteps.class);
    private final ListAppender<ILoggingEvent> said = new ListAppender<>();
    private final MemoryUblk ublk = MemoryUblk.create();
    private final UblkServer server = UblkServer.create().kernel(ublk.kernel()).size(1 << 20).queueDepth(2).maxIoBytes(4096)
            .recovery(Recovery.REISSUE).serve(new NullTarget());

    @BeforeEach
    void listen() {
        said.start();
        logger.setLevel(Level.DEBUG);
        logger.setAdditive(false);
        logger.addAppender(said);
    }

    @AfterEach
    void stopListening() {
        logger.detachAppender(said);
        logger.setAdditive(true);
        logger.setLevel(null);
        ublk.close();
    }

    /** Since it was asked the last time. */
    private List<String> steps() {
        List<String> steps = said.list.stream().map(event -> event.getArgumentArray()[1].toString()).toList();
        said.list.clear();
        return steps;
    }

    @Test
    void aDevicesLifeHasTheseSteps() {
        UblkDevice device = Objects.requireNonNull(ublk.get(server.start()));
        assertThat(steps()).isEqualTo(Steps.START);
        ublk.get(device.handOver());
        assertThat(steps()).isEqualTo(Steps.back(Steps.START));
        device = Objects.requireNonNull(ublk.get(server.recover(device.id())));
        assertThat(steps()).isEqualTo(Steps.RECOVERY);
        ublk.get(device.disposeLater());
        assertThat(steps()).isEqualTo(Steps.back(Steps.RECOVERY));
    }
}
