package io.reactorublk.samples;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.reactorublk.Operation;
import io.reactorublk.UblkDevice;
import io.reactorublk.UblkServer;
import io.reactorublk.memory.MemoryDisk;
import io.reactorublk.memory.MemoryUblk;
import io.reactorublk.micrometer.UblkMetrics;
import io.reactorublk.target.Fault;
import io.reactorublk.target.Filters;
import io.reactorublk.target.RamTarget;
import io.reactorublk.uring.Errno;
import java.io.IOException;
import java.net.ConnectException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import reactor.netty.ChannelBindException;

/** What Prometheus gets to see of a device in memory, by a client that is not ours. */
class PrometheusEndpointTest {

    private static final int SIZE = 1 << 20;

    private final PrometheusEndpoint endpoint = PrometheusEndpoint.start(0);
    private final HttpClient client = HttpClient.newHttpClient();

    @AfterEach
    void close() {
        endpoint.close();
        client.close();
    }

    private HttpResponse<String> get(String url) throws IOException, InterruptedException {
        return client.send(HttpRequest.newBuilder(URI.create(url)).build(), BodyHandlers.ofString());
    }

    @Test
    void tellsWhatADeviceHasDone() throws Exception {
        try (MemoryUblk ublk = MemoryUblk.create().withoutPartitionScan()) {
            UblkDevice device = ublk.get(UblkServer.create().kernel(ublk.kernel()).size(SIZE)
                    .listener(UblkMetrics.of(endpoint.registry()))
                    .serve(Filters.fault(Fault.of(Errno.ENOSPC).on(Operation.WRITE)).apply(new RamTarget(SIZE))).start());
            MemoryDisk disk = ublk.disk(device);
            ublk.get(disk.read(0, 4096).then(disk.write(0, new byte[512])).onErrorComplete());

            HttpResponse<String> answer = get(endpoint.url());

            assertThat(answer.statusCode()).isEqualTo(200);
            assertThat(answer.headers().firstValue("Content-Type")).hasValue("text/plain; version=0.0.4; charset=utf-8");
            assertThat(answer.body().lines()).contains(
                    "# TYPE ublk_request_seconds summary",
                    "ublk_request_seconds_count{device=\"ublkb0\",operation=\"read\",outcome=\"ok\",queue=\"0\"} 1",
                    "ublk_request_seconds_count{device=\"ublkb0\",operation=\"write\",outcome=\"ENOSPC\",queue=\"0\"} 1",
                    "ublk_request_bytes_total{device=\"ublkb0\",operation=\"read\",queue=\"0\"} 4096.0",
                    "ublk_tags_inflight{device=\"ublkb0\",queue=\"0\"} 0.0",
                    "ublk_fetch_tags_sum{device=\"ublkb0\",queue=\"0\"} 2.0",
                    "ublk_commit_tags_sum{device=\"ublkb0\",queue=\"0\"} 2.0",
                    "ublk_fetch_starved_total{device=\"ublkb0\",queue=\"0\"} 0.0");

            ublk.get(device.disposeLater());
            assertThat(get(endpoint.url()).body()).doesNotContain("ublk_");
        }
    }

    @Test
    void knowsNothingElse() throws Exception {
        assertThat(get(endpoint.url().replace("/metrics", "/")).statusCode()).isEqualTo(404);
    }

    @Test
    void isClosed() {
        endpoint.close();
        assertThatThrownBy(() -> get(endpoint.url())).isInstanceOf(ConnectException.class);
    }

    @Test
    void aPortIsServedOnce() {
        int port = URI.create(endpoint.url()).getPort();
        assertThatThrownBy(() -> PrometheusEndpoint.start(port)).isInstanceOf(ChannelBindException.class);
    }

    @Test
    void aPortIsTakenOverWhenItIsFree() {
        int port = URI.create(endpoint.url()).getPort();
        try (PrometheusEndpoint next = PrometheusEndpoint.startWhenFree(port)) {
            next.registry().counter("next").increment();
            endpoint.close();                                          // nobody has asked it: a connection would outlive it
            Awaitility.await().ignoreExceptions().until(() -> get(next.url()).body().contains("next_total 1.0"));
        }
        PrometheusEndpoint.start(port).close();
    }

    @Test
    void whoWaitsForAPortThatIsNeverFreeGivesUpWhenItIsClosed() throws Exception {
        PrometheusEndpoint.startWhenFree(URI.create(endpoint.url()).getPort()).close();
        assertThat(get(endpoint.url()).statusCode()).isEqualTo(200);
    }
}
