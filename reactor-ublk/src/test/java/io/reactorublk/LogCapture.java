package io.reactorublk;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.classic.spi.ThrowableProxyUtil;
import ch.qos.logback.core.AppenderBase;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.slf4j.LoggerFactory;

/** Keeps what this project logs, for tests that make things fail; prints it if the test fails too. */
final class LogCapture implements BeforeEachCallback, AfterEachCallback {

    private final Logger logger = (Logger) LoggerFactory.getLogger("io.reactorublk");
    private final Queue<ILoggingEvent> events = new ConcurrentLinkedQueue<>();
    private final AppenderBase<ILoggingEvent> appender = new AppenderBase<>() {
        @Override
        protected void append(ILoggingEvent event) {
            event.prepareForDeferredProcessing();
            events.add(event);
        }
    };

    @Override
    public void beforeEach(ExtensionContext test) {
        logger.setAdditive(false);
        logger.addAppender(appender);
        appender.setContext(logger.getLoggerContext());
        appender.start();
    }

    /** Extensions end after the test's own methods, so what those log is here too. */
    @Override
    public void afterEach(ExtensionContext test) {
        logger.detachAppender(appender);
        logger.setAdditive(true);
        if (test.getExecutionException().isPresent()) {
            for (ILoggingEvent event : events) System.out.println(test.getDisplayName() + " logged " + describe(event));
        }
    }

    private static String describe(ILoggingEvent event) {
        String text = event.getLevel() + " " + event.getFormattedMessage();
        return event.getThrowableProxy() == null ? text
                : text + "\n" + ThrowableProxyUtil.asString(event.getThrowableProxy());
    }

    /** What was warned of so far. */
    List<String> warnings() {
        return describe(Level.WARN);
    }

    /** The errors so far, with what was thrown. */
    List<String> errors() {
        return describe(Level.ERROR);
    }

    /** The errors so far, which are as they should be. */
    List<String> takeErrors() {
        List<String> errors = errors();
        events.removeIf(event -> event.getLevel() == Level.ERROR);
        return errors;
    }

    /** What was warned of so far, as it should have been. */
    List<String> takeWarnings() {
        List<String> warnings = warnings();
        events.removeIf(event -> event.getLevel() == Level.WARN);
        return warnings;
    }

    private List<String> describe(Level level) {
        List<String> found = new ArrayList<>();
        for (ILoggingEvent event : events) if (event.getLevel() == level) found.add(describe(event));
        return found;
    }
}
