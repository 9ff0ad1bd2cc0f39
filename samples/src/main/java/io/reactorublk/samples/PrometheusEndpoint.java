package io.reactorublk.samples;

import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.time.Duration;
import java.util.Objects;
import reactor.core.Disposable;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;
import reactor.netty.ChannelBindException;
import reactor.netty.DisposableServer;
import reactor.netty.http.server.HttpServer;
import reactor.netty.http.server.HttpServerResponse;
import reactor.util.Logger;
import reactor.util.Loggers;
import reactor.util.retry.Retry;

/**
 * A registry, and an HTTP server whose {@code GET /metrics} tells all of it in Prometheus' text format. Closing ends both. Whoever
 * can reach it can read it, so it is only to be reached from this machine.
 */
public final class PrometheusEndpoint implements AutoCloseable {

    private static final Logger LOG = Loggers.getLogger(PrometheusEndpoint.class);

    /** Of the text format, as Prometheus asks for it. */
    private static final String CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";
    private static final String LOCALHOST = "127.0.0.1";

    private static final Duration PAUSE = Duration.ofMillis(200);
    /** After so many pauses it is time to say something. */
    private static final int PATIENCE = 100;

    private final PrometheusMeterRegistry registry;
    private final Disposable server;
    private final int port;

    private PrometheusEndpoint(PrometheusMeterRegistry registry, Disposable server, int port) {
        this.registry = registry;
        this.server = server;
        this.port = port;
    }

    /**
     * Starts it. By a thread that may block.
     *
     * @param port 0 for any that is free
     * @throws ChannelBindException if the port is in use
     */
    public static PrometheusEndpoint start(int port) {
        PrometheusMeterRegistry registry = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
        DisposableServer server = Objects.requireNonNull(http(registry, port).bindNow());
        return new PrometheusEndpoint(registry, server::disposeNow, server.port());
    }

    /**
     * Starts it as soon as the port is free: for who comes after another process that still has it. If it stays in use that is
     * logged, once.
     */
    public static PrometheusEndpoint startWhenFree(int port) {
        PrometheusMeterRegistry registry = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
        Disposable server = http(registry, port).bind()
                .retryWhen(Retry.fixedDelay(Long.MAX_VALUE, PAUSE).filter(ChannelBindException.class::isInstance)
                        .doBeforeRetry(refusal -> {
                            if (refusal.totalRetries() == PATIENCE) LOG.warn("no metrics yet: port {} is still in use", port);
                        }))
                .flatMap(bound -> bound.onDispose().doOnCancel(bound::disposeNow))
                .subscribe(nothing -> {}, e -> LOG.error("no metrics on port " + port, e));
        return new PrometheusEndpoint(registry, server, port);
    }

    private static HttpServer http(PrometheusMeterRegistry registry, int port) {
        return HttpServer.create().host(LOCALHOST).port(port)
                .route(routes -> routes.get("/metrics", (request, response) -> scrape(registry, response)));
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
        return "http://" + LOCALHOST + ":" + port + "/metrics";
    }

    @Override
    public void close() {
        server.dispose();
        registry.close();
    }
}
