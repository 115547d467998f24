package dev.precis.server.review;

import dev.precis.io.FileDigest;
import dev.precis.server.http.Exchange;
import dev.precis.server.http.HttpFailure;
import java.util.HashMap;
import java.util.Map;

/** The people who may use a server, by the hashes of their tokens. */
final class Reviewers {
  private final Map<String, String> names = new HashMap<>();

  Reviewers(Map<String, String> tokens) {
    tokens.forEach((name, token) -> names.put(hash(token), name));
  }

  private static String hash(String token) {
    // A look-up of the token itself would take a time that tells how much of it is right.
    return FileDigest.sha256().add(token).hex();
  }

  /**
   * Returns the name of who sends a request.
   *
   * @throws HttpFailure if the token is missing or nobody has it
   */
  String require(Exchange exchange) {
    String name = names.get(hash(exchange.bearerToken()));
    if (name == null) {
      throw HttpFailure.invalid(
          401,
          "invalid_token",
          null,
          "Open the page by the address that was printed for you: it holds your token.");
    }
    return name;
  }
}
