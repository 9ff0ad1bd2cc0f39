package io.reactorublk;

import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.AppenderBase;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.TreeMap;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledIfSystemProperty;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.slf4j.LoggerFactory;

/**
 * Lives of devices by seed. {@code -Dseed=N} repeats one alone, and prints what happens in it; {@code -Dsimulation.seeds=N} tries so
 * many fresh ones.
 */
class SimulationTest {

    private static final long FIXED = 500;
    private static final int FRESH = Integer.getInteger("simulation.seeds", 300);
    private static final List<String> EXPECTED_ERRORS = List.of("a request was answered twice", "the subscriber of", "the target of");

    private final Logger house = (Logger) LoggerFactory.getLogger("io.reactorublk");
    private final Logger reactor = (Logger) LoggerFactory.getLogger("reactor");
    private final List<String> errors = new ArrayList<>();
    private final AppenderBase<ILoggingEvent> appender = new AppenderBase<>() {
        @Override
        protected void append(ILoggingEvent event) {
            String message = event.getFormattedMessage();
            boolean expected = event.getLevel() == Level.ERROR
                    ? EXPECTED_ERRORS.stream().anyMatch(message::startsWith)
                    : !message.contains("does not stop") && !message.contains("undoing");
            if (!expected) errors.add(message + (event.getThrowableProxy() == null ? "" : ": " + event.getThrowableProxy().getMessage()));
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
        List<String> trace = traced ? new ArrayList<>() : null;
        errors.clear();
        try {
            Simulation simulation = new Simulation(seed, events, trace);
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
        assertThat(events).as("what the seeds are there for").containsKeys("starved", "rebuilt", "killed", "killed while it started",
                "killed while it stopped", "start cancelled", "handed over", "hand-over refused", "killed while it handed over",
                "killed while it recovered", "recovered with HOLD", "recovered with REISSUE", "recovered with FAIL_FAST",
                "answered twice", "an answer too many was found out", "a lost request was served", "stopped with something outstanding",
                "stopped with nothing outstanding").containsKeys(numbered("fault ", 7)).containsKeys(numbered("broken in way ", 6))
                .containsKeys("shared", "unshared", "in shared memory")
                .containsKeys("fused", "a short transfer", "a file fails", "a transfer timed out")
                .containsKeys(modes("")).containsKeys(modes(" with a file"));
    }

    @Test
    @DisabledIfSystemProperty(named = "seed", matches = ".*", disabledReason = "one seed was asked for")
    void freshSeedsKeepThemToo() {
        long first = System.nanoTime() & 0xFFFF_FFFFL;
        LongStream.range(first, first + FRESH).forEach(seed -> run(seed, false));
    }

    @Test
    @DisabledIfSystemProperty(named = "seed", matches = ".*", disabledReason = "one seed was asked for")
    void aSeedSaysEverything() {
        LongStream.range(0, 20).forEach(seed -> {
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
            new Simulation(seed, events, trace).run();
        } finally {
            trace.forEach(System.out::println);
        }
        run(seed, false);
    }

    private static String[] modes(String where) {
        return Arrays.stream(DataMode.values()).map(mode -> mode + where).toArray(String[]::new);
    }

    private static String[] numbered(String name, int count) {
        return IntStream.range(0, count).mapToObj(i -> name + i).toArray(String[]::new);
    }
}
