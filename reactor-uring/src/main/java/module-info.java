/** io_uring for Project Reactor. The only module here that needs {@code --enable-native-access}. */
module io.reactorublk.uring {
    requires transitive reactor.core;
    requires transitive org.reactivestreams;
    requires static transitive org.jspecify;
    requires org.slf4j;

    exports io.reactorublk.uring;
}
