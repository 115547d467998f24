package dev.precis.server.api;

import dev.precis.server.http.HttpFailure;
import dev.precis.server.http.Limits;

/** Bounds the texts of a request. */
final class Texts {
  private Texts() {}

  /** Refuses a request with more texts than results are allowed. */
  static void requireFew(String field, int texts, Limits limits) {
    if (texts > limits.sequences()) {
      throw HttpFailure.badRequest(
          field, "\"%s\" has %,d texts, more than %d.".formatted(field, texts, limits.sequences()));
    }
  }
}
