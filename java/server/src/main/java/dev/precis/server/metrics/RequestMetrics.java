package dev.precis.server.metrics;

import io.helidon.webserver.http.Filter;
import io.helidon.webserver.http.FilterChain;
import io.helidon.webserver.http.RoutingRequest;
import io.helidon.webserver.http.RoutingResponse;
import java.time.Duration;
import java.util.Set;

/** Counts every request, whoever answers it. */
public final class RequestMetrics implements Filter {
  private final ServerMetrics metrics;
  private final Set<String> endpoints;

  /**
   * Makes the filter.
   *
   * @param endpoints paths that are counted apart; all others are one
   */
  public RequestMetrics(ServerMetrics metrics, Set<String> endpoints) {
    this.metrics = metrics;
    this.endpoints = Set.copyOf(endpoints);
  }

  @Override
  public void filter(FilterChain chain, RoutingRequest request, RoutingResponse response) {
    long begin = System.nanoTime();
    String path = request.path().path();
    String endpoint = endpoints.contains(path) ? path : "other";
    String status = "closed";
    try {
      chain.proceed();
      status = "" + response.status().code();
    } finally {
      metrics.request(endpoint, status, Duration.ofNanos(System.nanoTime() - begin));
    }
  }
}
