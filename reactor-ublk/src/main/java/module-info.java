/** Linux ublk block devices for Project Reactor. */
module io.reactorublk {
    requires transitive io.reactorublk.uring;
    requires static transitive org.jspecify;
    requires static transitive micrometer.core;

    exports io.reactorublk;
    exports io.reactorublk.target;
    exports io.reactorublk.memory;
    exports io.reactorublk.micrometer;
}
