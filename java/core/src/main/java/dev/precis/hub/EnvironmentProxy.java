package dev.precis.hub;

import dev.precis.io.InvalidInputException;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Proxy;
import java.net.ProxySelector;
import java.net.SocketAddress;
import java.net.URI;
import java.net.URISyntaxException;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * {@code HTTPS_PROXY}, {@code HTTP_PROXY}, {@code ALL_PROXY} and {@code NO_PROXY}, in either case,
 * which Java does not look at by itself.
 */
final class EnvironmentProxy extends ProxySelector {
  private static final List<Proxy> DIRECT = List.of(Proxy.NO_PROXY);

  private final Map<String, List<Proxy>> byScheme;
  private final List<String> exceptions;

  private EnvironmentProxy(Map<String, List<Proxy>> byScheme, List<String> exceptions) {
    this.byScheme = byScheme;
    this.exceptions = exceptions;
  }

  /** Returns the proxy of the environment; empty if none is set: Java's own settings apply then. */
  static Optional<ProxySelector> from(Map<String, String> environment) {
    Optional<String> all = variable(environment, "ALL_PROXY");
    Optional<String> https = variable(environment, "HTTPS_PROXY").or(() -> all);
    Optional<String> http = variable(environment, "HTTP_PROXY").or(() -> all);
    if (https.isEmpty() && http.isEmpty()) {
      return Optional.empty();
    }
    List<String> exceptions =
        Arrays.stream(variable(environment, "NO_PROXY").orElse("").split(","))
            .map(host -> host.strip().replaceFirst("^\\*?\\.", ""))
            .filter(host -> !host.isEmpty())
            .toList();
    return Optional.of(
        new EnvironmentProxy(
            Map.of(
                "https", https.map(EnvironmentProxy::proxy).orElse(DIRECT),
                "http", http.map(EnvironmentProxy::proxy).orElse(DIRECT)),
            exceptions));
  }

  private static Optional<String> variable(Map<String, String> environment, String name) {
    return Stream.of(name.toLowerCase(Locale.ROOT), name)
        .map(environment::get)
        .filter(value -> value != null && !value.isBlank())
        .map(String::strip)
        .findFirst();
  }

  private static List<Proxy> proxy(String text) {
    try {
      URI uri = new URI(text.contains("://") ? text : "http://" + text);
      if ("http".equals(uri.getScheme()) && uri.getHost() != null) {
        int port = uri.getPort() == -1 ? 80 : uri.getPort();
        return List.of(
            new Proxy(Proxy.Type.HTTP, InetSocketAddress.createUnresolved(uri.getHost(), port)));
      }
    } catch (URISyntaxException e) {
      // Falls through to the sentence below. A proxy's address may hold a password: not shown.
    }
    throw new InvalidInputException(
        "The proxy in HTTPS_PROXY, HTTP_PROXY or ALL_PROXY must be an address such as"
            + " http://proxy:3128");
  }

  @Override
  public List<Proxy> select(URI uri) {
    String host = uri.getHost();
    boolean direct =
        exceptions.stream()
            .anyMatch(e -> e.equals("*") || host.equals(e) || host.endsWith("." + e));
    return direct ? DIRECT : byScheme.getOrDefault(uri.getScheme(), DIRECT);
  }

  @Override
  public void connectFailed(URI uri, SocketAddress address, IOException e) {
    // There is no second proxy to turn to.
  }
}
