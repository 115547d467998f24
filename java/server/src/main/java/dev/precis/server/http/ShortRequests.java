package dev.precis.server.http;

import io.helidon.webserver.CloseConnectionException;
import io.helidon.webserver.http.Filter;
import io.helidon.webserver.http.FilterChain;
import io.helidon.webserver.http.RoutingRequest;
import io.helidon.webserver.http.RoutingResponse;

/**
 * Bounds the time of the requests that run no model, such as those for pages: a client that does
 * not take its response must not hold a thread for ever. {@link ApiHandler} bounds the others.
 */
public final class ShortRequests implements Filter {
  private final Limits limits;
  private final TimeLimits clock;

  /** Makes the filter. */
  public ShortRequests(Limits limits, TimeLimits clock) {
    this.limits = limits;
    this.clock = clock;
  }

  @Override
  public void filter(FilterChain chain, RoutingRequest request, RoutingResponse response) {
    if (request.path().path().startsWith("/v1/")) {
      chain.proceed();
      return;
    }
    try {
      clock.within(limits.writeTime(), "The client takes its response too slowly.", chain::proceed);
    } catch (TimeLimits.TimeLimitException e) {
      throw new CloseConnectionException(e.getMessage(), e);
    }
  }
}
