package dev.precis.server.review;

import dev.precis.io.FileDigest;
import dev.precis.server.http.Exchange;
import dev.precis.server.http.HttpFailure;
import java.util.HashMap;
import java.util.Map;

/** The people who may use a server, by the hashes of their tokens: who answers, and who manages. */
final class Reviewers {
  private final Map<String, Person> people = new HashMap<>();

  /** Somebody who has a token; a manager sees the agreement, and answers nothing. */
  record Person(String name, boolean manager) {}

  Reviewers(Map<String, String> tokens, Map<String, String> managers) {
    tokens.forEach((name, token) -> people.put(hash(token), new Person(name, false)));
    managers.forEach((name, token) -> people.put(hash(token), new Person(name, true)));
  }

  private static String hash(String token) {
    // A look-up of the token itself would take a time that tells how much of it is right.
    return FileDigest.sha256().add(token).hex();
  }

  /**
   * Returns who sends a request.
   *
   * @throws HttpFailure if the token is missing or nobody has it
   */
  Person require(Exchange exchange) {
    Person person = people.get(hash(exchange.bearerToken()));
    if (person == null) {
      throw HttpFailure.invalid(
          401,
          "invalid_token",
          null,
          "Open the page by the address that was printed for you: it holds your token.");
    }
    return person;
  }

  /**
   * Returns the name of who sends a request that some may not send.
   *
   * @param manager whether it is for a manager; else it is for everybody else, because a manager
   *     has seen which candidates win
   * @throws HttpFailure likewise, and if it is another one's request
   */
  String require(Exchange exchange, boolean manager) {
    Person person = require(exchange);
    if (person.manager() != manager) {
      throw HttpFailure.invalid(
          403,
          "wrong_role",
          null,
          manager
              ? "The agreement has the candidates' names: only a manager's address shows it."
              : "This is a manager's address: answers come from the address of an annotator.");
    }
    return person.name();
  }
}
