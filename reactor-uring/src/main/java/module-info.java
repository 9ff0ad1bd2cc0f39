/** io_uring for Project Reactor. The only module here that needs {@code --enable-native-access}. */
@SuppressWarnings("module") // the floor above is compiled later
module io.reactorublk.uring {
    requires transitive reactor.core;
    requires transitive org.reactivestreams;
    requires static transitive org.jspecify;

    exports io.reactorublk.uring;
    exports io.reactorublk.uring.memory;
    // What the kernel calls things is nobody's API; the floor above speaks to the kernel too.
    exports io.reactorublk.uring.abi to io.reactorublk;
}
