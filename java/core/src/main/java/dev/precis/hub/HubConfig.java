package dev.precis.hub;

import dev.precis.io.InvalidInputException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.ProxySelector;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/**
 * The addresses of the hub and of its cache, and the timeouts.
 *
 * @param endpoint the hub's address, with a path where a mirror has one, without a slash at its end
 * @param cache the folder that holds {@code models--org--name} folders
 * @param token sent to the endpoint and to nobody else
 * @param offline whether only the cache may be used
 * @param proxy for all requests; empty for Java's own settings
 * @param attempts how often something is tried that fails without any progress
 * @param pause before the second attempt; doubled before each further one
 * @param stall how long a server may send nothing
 */
public record HubConfig(
    URI endpoint,
    Path cache,
    Optional<String> token,
    boolean offline,
    Optional<ProxySelector> proxy,
    int attempts,
    Duration pause,
    Duration stall) {

  /**
   * Returns the configuration that Python's {@code huggingface_hub} would take from the
   * environment: {@code HF_ENDPOINT}; {@code HF_HUB_CACHE}, {@code HUGGINGFACE_HUB_CACHE}, {@code
   * HF_HOME}, {@code XDG_CACHE_HOME}; {@code HF_TOKEN}, {@code HF_TOKEN_PATH} or the file {@code
   * token} in {@code HF_HOME}; {@code HF_HUB_OFFLINE}; {@code HTTPS_PROXY}, {@code HTTP_PROXY},
   * {@code NO_PROXY}.
   *
   * @param environment the variables
   * @param home the user's home folder
   * @throws InvalidInputException if a variable makes no sense
   */
  public static HubConfig from(Map<String, String> environment, Path home) {
    Variables env = new Variables(environment, home);
    Path caches = env.path("XDG_CACHE_HOME").orElse(home.resolve(".cache"));
    Path hfHome = env.path("HF_HOME").orElse(caches.resolve("huggingface"));
    Path cache =
        env.path("HF_HUB_CACHE")
            .or(() -> env.path("HUGGINGFACE_HUB_CACHE"))
            .orElse(hfHome.resolve("hub"));
    Optional<String> token = Optional.empty();
    if (!env.isTrue("HF_HUB_DISABLE_IMPLICIT_TOKEN")) {
      token =
          env.text("HF_TOKEN")
              .map(value -> checkedToken(value, "HF_TOKEN"))
              .or(() -> tokenIn(env.path("HF_TOKEN_PATH").orElse(hfHome.resolve("token"))));
    }
    return new HubConfig(
        endpoint(env.text("HF_ENDPOINT").orElse("https://huggingface.co")),
        cache.toAbsolutePath(),
        token,
        env.isTrue("HF_HUB_OFFLINE") || env.isTrue("TRANSFORMERS_OFFLINE"),
        EnvironmentProxy.from(environment),
        5,
        Duration.ofSeconds(1),
        Duration.ofSeconds(60));
  }

  private static URI endpoint(String text) {
    try {
      URI uri = new URI(text.replaceAll("/+$", ""));
      if (("https".equals(uri.getScheme()) || "http".equals(uri.getScheme()))
          && uri.getHost() != null
          && uri.getRawQuery() == null
          && uri.getRawFragment() == null) {
        return uri;
      }
    } catch (URISyntaxException e) {
      // Falls through to the sentence below, which says all that this one would.
    }
    throw new InvalidInputException(
        "HF_ENDPOINT must be an address such as https://huggingface.co, but is " + text);
  }

  private static Optional<String> tokenIn(Path file) {
    if (!Files.isRegularFile(file)) {
      return Optional.empty();
    }
    try {
      String text = Files.readString(file).strip();
      return text.isEmpty() ? Optional.empty() : Optional.of(checkedToken(text, file.toString()));
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot read the token in " + file, e);
    }
  }

  private static String checkedToken(String token, String where) {
    if (!token.chars().allMatch(c -> c > ' ' && c < 127)) {
      throw new InvalidInputException(
          where + " holds a character that no token has: copy the token again");
    }
    return token;
  }

  /** Returns all but the token. */
  @Override
  public String toString() {
    return "HubConfig[endpoint=%s, cache=%s, token=%s, offline=%s]"
        .formatted(endpoint, cache, token.isPresent() ? "set" : "none", offline);
  }

  private record Variables(Map<String, String> environment, Path home) {
    Optional<String> text(String name) {
      return Optional.ofNullable(environment.get(name))
          .map(String::strip)
          .filter(value -> !value.isEmpty());
    }

    Optional<Path> path(String name) {
      return text(name)
          .map(
              value ->
                  value.equals("~") || value.startsWith("~/")
                      ? home.resolve(value.substring(Math.min(2, value.length())))
                      : Path.of(value));
    }

    boolean isTrue(String name) {
      return text(name)
          .map(value -> value.toUpperCase(Locale.ROOT))
          .filter(value -> value.matches("1|ON|YES|TRUE"))
          .isPresent();
    }
  }
}
