package dev.precis.server.http;

import io.helidon.webserver.http.Filter;
import io.helidon.webserver.http.FilterChain;
import io.helidon.webserver.http.RoutingRequest;
import io.helidon.webserver.http.RoutingResponse;
import java.time.Duration;
import java.util.concurrent.TimeUnit;

/**
 * Counts the requests that run, so that a server can stop after them. While it drains, it answers
 * new requests with 503: the socket stays open, because the system would reset the connections that
 * it has made and the server has not yet taken.
 */
public final class Draining implements Filter {
  private static final long QUIET_NANOS = TimeUnit.MILLISECONDS.toNanos(300);

  private int running; // guarded by this
  private boolean draining; // guarded by this
  private long lastRefused; // guarded by this

  @Override
  public void filter(FilterChain chain, RoutingRequest request, RoutingResponse response) {
    String path = request.path().path();
    if (path.startsWith("/health") || path.startsWith("/metrics")) {
      chain.proceed(); // also asked while the server drains
      return;
    }
    if (!begin()) {
      Refusals.send(
          request,
          response,
          HttpFailure.ofServer(503, "stopping", "The server is stopping: try again elsewhere."));
      return;
    }
    try {
      response.beforeSend(
          () -> {
            if (isDraining()) {
              Refusals.endConnection(request, response);
            }
          });
      chain.proceed();
    } finally {
      end();
    }
  }

  private synchronized boolean begin() {
    if (draining) {
      lastRefused = System.nanoTime();
      return false;
    }
    running++;
    return true;
  }

  private synchronized void end() {
    running--;
    notifyAll();
  }

  /** Returns whether new requests are refused. */
  public synchronized boolean isDraining() {
    return draining;
  }

  /**
   * Refuses new requests from now on and waits until those that run are complete.
   *
   * @param patience the longest wait
   * @return false if the wait was too short for some requests
   * @throws InterruptedException if the thread is interrupted meanwhile
   */
  public synchronized boolean drain(Duration patience) throws InterruptedException {
    draining = true;
    lastRefused = System.nanoTime();
    long end = System.nanoTime() + patience.toNanos();
    while (true) {
      long now = System.nanoTime();
      long quiet = lastRefused + QUIET_NANOS - now;
      if (running == 0 && quiet <= 0) {
        return true;
      }
      if (end - now <= 0) {
        return running == 0;
      }
      long wait = running > 0 ? end - now : Math.min(quiet, end - now);
      TimeUnit.NANOSECONDS.timedWait(this, Math.max(wait, TimeUnit.MILLISECONDS.toNanos(1)));
    }
  }
}
