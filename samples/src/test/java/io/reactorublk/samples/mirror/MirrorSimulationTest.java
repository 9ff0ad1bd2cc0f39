package io.reactorublk.samples.mirror;

import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.AppenderBase;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import java.util.stream.LongStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledIfSystemProperty;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.slf4j.LoggerFactory;

/**
 * Lives of mirrors by seed. {@code -Dseed=N} repeats one, and prints what happens in it; {@code -Dsimulation.seeds=N} tries so
 * many fresh ones.
 */
class MirrorSimulationTest {

    private static final long FIXED = 200;
    private static final int FRESH = Integer.getInteger("simulation.seeds", 100);

    private final Logger house = (Logger) LoggerFactory.getLogger("io.reactorublk");
    private final Logger reactor = (Logger) LoggerFactory.getLogger("reactor");
    private final List<String> errors = new ArrayList<>();
    private final AppenderBase<ILoggingEvent> appender = new AppenderBase<>() {
        @Override
        protected void append(ILoggingEvent event) {
            // The mirror says a lot about its replicas, as it should; nothing below it has anything to complain of.
            if (event.getLevel() != Level.ERROR || event.getLoggerName().endsWith(MirrorSet.class.getSimpleName())) return;
            errors.add(event.getLoggerName() + ": " + event.getFormattedMessage());
        }
    };
    private final TreeMap<String, Integer> events = new TreeMap<>();

    @BeforeEach
    void listenToTheLog() {
        house.setAdditive(false);
        house.addAppender(appender);
        appender.setContext(house.getLoggerContext());
        appender.start();
        reactor.setLevel(Level.OFF);                                   // what is dropped after an end is dropped on purpose
    }

    @AfterEach
    void letTheLogBe() {
        house.detachAppender(appender);
        house.setAdditive(true);
        reactor.setLevel(null);
    }

    private List<String> run(long seed, boolean traced) {
        List<String> trace = new ArrayList<>();
        errors.clear();
        try {
            MirrorSimulation simulation = new MirrorSimulation(seed, events, traced ? trace : null);
            simulation.run();
            events.merge("steps", simulation.steps(), Integer::sum);
            assertThat(errors).as("unexpected in the log").isEmpty();
        } catch (Throwable e) {
            throw new AssertionError("seed " + seed + " failed (-Dseed=" + seed + " repeats it): " + e.getMessage()
                    + (errors.isEmpty() ? "" : "; logged: " + errors), e);
        }
        return trace;
    }

    @Test
    @DisabledIfSystemProperty(named = "seed", matches = ".*", disabledReason = "one seed was asked for")
    void everySeedKeepsTheRules() {
        LongStream.range(0, FIXED).forEach(seed -> run(seed, false));
        System.out.println(FIXED + " seeds: " + events);
        assertThat(events).as("what the seeds are there for").containsKeys("killed", "killed while it started",
                "killed while it stopped", "killed when somebody had left", "power cut", "stopped", "stopped, and left open", "a replica did not let it start",
                "started without one", "started without one that was given up", "refused without one",
                "refused below the quorum", "started with a stale one", "started after a crash",
                "started with one that could not sync", "used below the quorum", "compared");
    }

    @Test
    @DisabledIfSystemProperty(named = "seed", matches = ".*", disabledReason = "one seed was asked for")
    void freshSeedsKeepThemToo() {
        long first = Long.getLong("simulation.first", System.nanoTime() & 0xFFFF_FFFFL);
        LongStream.range(first, first + FRESH).forEach(seed -> run(seed, false));
    }

    @Test
    @DisabledIfSystemProperty(named = "seed", matches = ".*", disabledReason = "one seed was asked for")
    void aSeedSaysEverything() {
        LongStream.range(0, 10).forEach(seed -> {
            List<String> trace = run(seed, true);
            assertThat(run(seed, true)).as("trace of seed %d", seed).isEqualTo(trace);
            assertThat(trace).hasSizeGreaterThan(10);
        });
    }

    @Test
    @EnabledIfSystemProperty(named = "seed", matches = ".*", disabledReason = "none was asked for")
    void theSeedThatWasAskedFor() {
        long seed = Long.getLong("seed");
        List<String> trace = new ArrayList<>();
        try {
            new MirrorSimulation(seed, events, trace).run();
        } finally {
            trace.forEach(System.out::println);
        }
        run(seed, false);
    }
}
