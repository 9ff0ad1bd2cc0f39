package io.reactorublk.samples;

import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.util.Objects;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;
import reactor.netty.DisposableServer;
import reactor.netty.http.server.HttpServer;
import reactor.netty.http.server.HttpServerResponse;

/**
 * A registry, and an HTTP server whose {@code GET /metrics} tells all of it in Prometheus' text format. Closing ends both. Whoever
 * can reach it can read it, so it is only to be reached from this machine.
 */
public final class PrometheusEndpoint implements AutoCloseable {

    /** Of the text format, as Prometheus asks for it. */
    private static final String CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";
    private static final String LOCALHOST = "127.0.0.1";

    private final PrometheusMeterRegistry registry;
    private final DisposableServer server;

    private PrometheusEndpoint(PrometheusMeterRegistry registry, DisposableServer server) {
        this.registry = registry;
        this.server = server;
    }

    /**
     * Starts it. By a thread that may block.
     *
     * @param port 0 for any that is free
     * @throws reactor.netty.ChannelBindException if the port is in use
     */
    public static PrometheusEndpoint start(int port) {
        PrometheusMeterRegistry registry = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
        HttpServer server = HttpServer.create().host(LOCALHOST).port(port)
                .route(routes -> routes.get("/metrics", (request, response) -> scrape(registry, response)));
        return new PrometheusEndpoint(registry, Objects.requireNonNull(server.bindNow()));
    }

    /** Not on Netty's thread, which other scrapes share: a large registry takes its time. */
    private static Mono<Void> scrape(PrometheusMeterRegistry registry, HttpServerResponse response) {
        Mono<String> text = Mono.fromCallable(() -> registry.scrape(CONTENT_TYPE)).subscribeOn(Schedulers.boundedElastic());
        return response.header("Content-Type", CONTENT_TYPE).sendString(text).then();
    }

    /** Where meters become visible. */
    public MeterRegistry registry() {
        return registry;
    }

    /** Where to look, such as {@code http://127.0.0.1:9100/metrics}. */
    public String url() {
        return "http://" + LOCALHOST + ":" + server.port() + "/metrics";
    }

    @Override
    public void close() {
        server.disposeNow();
        registry.close();
    }
}
