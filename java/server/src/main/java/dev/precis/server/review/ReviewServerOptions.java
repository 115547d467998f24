package dev.precis.server.review;

import dev.precis.server.http.Limits;
import java.net.InetAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Set;

/**
 * Options of a {@link ReviewServer}.
 *
 * @param port 0: any that is free
 * @param hosts names that requests may address it by, beside those of the loopback address; on
 *     another address, none means any
 * @param certificates PEM file of the certificate; null: connections are not encrypted
 * @param privateKey PEM file of its key
 */
public record ReviewServerOptions(
    InetAddress address,
    int port,
    Set<String> hosts,
    Path certificates,
    Path privateKey,
    Limits limits) {
  /** The bounds of what a browser may send: an edited text is the longest. */
  public static final Limits LIMITS =
      new Limits(
          1 << 20,
          256,
          1,
          2,
          1,
          Duration.ofMinutes(1),
          Duration.ofSeconds(30),
          Duration.ofSeconds(30));

  /** The loopback address, any free port, no encryption. */
  public static final ReviewServerOptions DEFAULT =
      new ReviewServerOptions(InetAddress.getLoopbackAddress(), 0, Set.of(), null, null, LIMITS);

  /** Copies the names. */
  public ReviewServerOptions {
    hosts = Set.copyOf(hosts);
  }
}
