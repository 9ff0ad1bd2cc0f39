package io.reactorublk;

import java.util.List;

/**
 * The steps of a device's life, of one queue, by the names under which {@link LifecycleSteps} logs them, for servers that are to
 * die at one of them.
 */
final class Steps {

    static final List<String> START = List.of("control device", "features", "add", "character device", "parameters", "queues", "loop 0",
            "target of queue 0", "start");
    static final List<String> RECOVERY = List.of("control device", "recovery", "character device", "queues", "loop 0",
            "target of queue 0", "end of the recovery");

    private static final String BACK = "back from ";

    private Steps() {}

    /** Those of the end of a device that began with these; a hand-over has the same as a stop. */
    static List<String> back(List<String> begin) {
        return begin.reversed().stream().map(BACK::concat).toList();
    }

    static boolean isBack(String step) {
        return step.startsWith(BACK);
    }
}
