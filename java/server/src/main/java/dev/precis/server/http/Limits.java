package dev.precis.server.http;

import dev.precis.io.InvalidInputException;
import java.time.Duration;

/**
 * The bounds of what a client may ask for.
 *
 * @param bodyBytes the longest body of a request
 * @param connections the most connections at a time
 * @param sequences the most results of one request: prompts times n
 * @param sourceTokens the longest prompt, in tokens
 * @param newTokens the most tokens that a request may ask for, for each result
 * @param requestTime the longest time of a request, from its first byte on
 * @param bodyTime the longest time in which a body must arrive
 * @param writeTime the longest time in which a client must take a piece of a response
 */
public record Limits(
    int bodyBytes,
    int connections,
    int sequences,
    int sourceTokens,
    int newTokens,
    Duration requestTime,
    Duration bodyTime,
    Duration writeTime) {

  /** The limits unless the options say otherwise. */
  public static final Limits DEFAULT =
      new Limits(
          4 << 20,
          1024,
          128,
          4096,
          1024,
          Duration.ofMinutes(5),
          Duration.ofSeconds(30),
          Duration.ofSeconds(30));

  /**
   * Checks every value.
   *
   * @throws InvalidInputException if one is out of range
   */
  public Limits {
    InvalidInputException.require(
        bodyBytes >= 1024 && bodyBytes <= 64 << 20, "bodyBytes", "1024 to 67108864", bodyBytes);
    InvalidInputException.require(connections >= 1, "connections", "1 or more", connections);
    InvalidInputException.require(sourceTokens >= 2, "sourceTokens", "2 or more", sourceTokens);
    InvalidInputException.require(
        newTokens >= 1 && newTokens <= 1 << 20, "newTokens", "1 to 1048576", newTokens);
    InvalidInputException.require(
        sequences >= 1 && sequences <= 1024, "sequences", "1 to 1024", sequences);
    InvalidInputException.require(requestTime.isPositive(), "requestTime", "above 0", requestTime);
    InvalidInputException.require(bodyTime.isPositive(), "bodyTime", "above 0", bodyTime);
    InvalidInputException.require(writeTime.isPositive(), "writeTime", "above 0", writeTime);
  }
}
