package dev.precis.server.pages;

import io.helidon.http.HeaderNames;
import io.helidon.webserver.http.HttpRules;
import io.helidon.webserver.http.HttpService;
import io.helidon.webserver.http.ServerResponse;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;

/**
 * Serves files of a jar at fixed paths. No path of a request is ever turned into the name of a
 * file. The headers forbid the browser to load anything from elsewhere, to run scripts that stand
 * in the page itself, and to show the page inside another one.
 */
public final class PageFiles implements HttpService {
  private static final String POLICY =
      "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:;"
          + " base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

  private static final Map<String, String> TYPES =
      Map.of(
          "html", "text/html; charset=utf-8",
          "css", "text/css; charset=utf-8",
          "js", "text/javascript; charset=utf-8");

  private record PageFile(String type, byte[] content) {}

  private final Map<String, PageFile> files = new LinkedHashMap<>();

  /**
   * Adds a file.
   *
   * @param path to serve it at, such as {@code /style.css}
   * @param owner class beside which the file is
   * @param name of the file, which ends with .html, .css or .js
   */
  public PageFiles add(String path, Class<?> owner, String name) {
    String ending = name.substring(name.lastIndexOf('.') + 1).toLowerCase(Locale.ROOT);
    try (InputStream in = owner.getResourceAsStream(name)) {
      if (in == null) {
        throw new IllegalArgumentException("There is no file " + name + " beside " + owner);
      }
      files.put(path, new PageFile(TYPES.get(ending), in.readAllBytes()));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return this;
  }

  @Override
  public void routing(HttpRules rules) {
    files.forEach((path, file) -> rules.get(path, (request, response) -> send(response, file)));
  }

  private static void send(ServerResponse response, PageFile file) {
    response.header(HeaderNames.CONTENT_TYPE, file.type);
    response.header(HeaderNames.CACHE_CONTROL, "no-cache");
    response.header("Content-Security-Policy", POLICY);
    response.header("X-Content-Type-Options", "nosniff");
    response.header("Referrer-Policy", "no-referrer");
    response.header("Cross-Origin-Opener-Policy", "same-origin");
    response.header("Cross-Origin-Resource-Policy", "same-origin");
    response.send(file.content);
  }
}
