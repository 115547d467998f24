package dev.precis.server.http;

import io.helidon.http.HeaderName;
import io.helidon.http.HeaderNames;
import io.helidon.webserver.http.Filter;
import io.helidon.webserver.http.FilterChain;
import io.helidon.webserver.http.RoutingRequest;
import io.helidon.webserver.http.RoutingResponse;
import java.net.URI;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/**
 * Refuses requests that a web page of another site has made, and those without the key.
 *
 * <p>A page of another site can send requests to a server on its reader's machine. It is told by
 * the headers {@code Origin} and {@code Sec-Fetch-Site}, which the browser sets; a page whose name
 * was made to lead to this machine (DNS rebinding) by {@code Host}, which then has that name.
 */
public final class AccessFilter implements Filter {
  private static final HeaderName FETCH_SITE = HeaderNames.create("Sec-Fetch-Site");
  static final String BEARER = "Bearer ";

  private final Set<String> hosts;
  private final ApiKey key;
  private final List<String> open;

  /**
   * Makes the filter.
   *
   * @param hosts names, in lower case, that the server may be addressed by; empty: any
   * @param key null: none is needed
   * @param open paths that need no key
   */
  public AccessFilter(Set<String> hosts, ApiKey key, List<String> open) {
    this.hosts = Set.copyOf(hosts);
    this.key = key;
    this.open = List.copyOf(open);
  }

  @Override
  public void filter(FilterChain chain, RoutingRequest request, RoutingResponse response) {
    HttpFailure failure = refusal(request, response);
    if (failure == null) {
      chain.proceed();
    } else {
      Refusals.send(request, response, failure);
    }
  }

  private HttpFailure refusal(RoutingRequest request, RoutingResponse response) {
    String host = hostName(request.authority());
    if (!hosts.isEmpty() && !hosts.contains(host)) {
      return HttpFailure.invalid(
          421,
          "unknown_host",
          null,
          "This server is not known by the name that the request addresses: start it with"
              + " --allow-host NAME if it should be.");
    }
    String origin = request.headers().first(HeaderNames.ORIGIN).orElse(null);
    String site = request.headers().first(FETCH_SITE).orElse("none");
    if (origin != null && !isOwn(origin, request.authority())
        || site.equals("cross-site")
        || site.equals("same-site")) {
      return HttpFailure.invalid(
          403,
          "cross_site",
          null,
          "This server answers no requests that another site's page makes.");
    }
    if (key == null || open.contains(request.path().path())) {
      return null;
    }
    String given = request.headers().first(HeaderNames.AUTHORIZATION).orElse("");
    if (given.regionMatches(true, 0, BEARER, 0, BEARER.length())
        && key.matches(given.substring(BEARER.length()).strip())) {
      return null;
    }
    response.header(HeaderNames.WWW_AUTHENTICATE, "Bearer");
    return HttpFailure.invalid(
        401,
        "invalid_api_key",
        null,
        given.isEmpty()
            ? "The request has no key: send it as \"Authorization: Bearer KEY\"."
            : "The key is wrong.");
  }

  /** Returns whether a page's origin is this server, as the page addresses it. */
  private static boolean isOwn(String origin, String authority) {
    try {
      URI uri = URI.create(origin);
      return uri.getHost() != null
          && withPort(uri)
              .equalsIgnoreCase(withPort(URI.create(uri.getScheme() + "://" + authority)));
    } catch (IllegalArgumentException e) {
      return false;
    }
  }

  private static String withPort(URI uri) {
    int usual = uri.getScheme().equalsIgnoreCase("https") ? 443 : 80;
    int port = uri.getPort() >= 0 ? uri.getPort() : usual;
    return uri.getHost() + ":" + port;
  }

  /** Returns the name of a host without its port, in lower case. */
  private static String hostName(String authority) {
    String name = authority == null ? "" : authority;
    int colon = name.lastIndexOf(':');
    if (colon > name.lastIndexOf(']')) {
      name = name.substring(0, colon);
    }
    return name.toLowerCase(Locale.ROOT);
  }
}
