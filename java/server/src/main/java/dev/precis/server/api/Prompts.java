package dev.precis.server.api;

import dev.precis.io.InvalidInputException;
import dev.precis.server.http.HttpFailure;
import dev.precis.server.http.Limits;
import dev.precis.server.models.TextGenerator;
import java.util.ArrayList;
import java.util.List;
import tools.jackson.databind.JsonNode;

/** Reads the texts of a request: a text, a list of texts, token ids, or a list of lists of ids. */
final class Prompts {
  private final TextGenerator generator;
  private final Limits limits;
  private final String field;

  /** Reads the texts of a field for a model. */
  Prompts(TextGenerator generator, Limits limits, String field) {
    this.generator = generator;
    this.limits = limits;
    this.field = field;
  }

  /** Returns the token ids of each text, end tokens included. */
  List<int[]> read(RequestFields fields) {
    JsonNode value = fields.node(field);
    if (value == null) {
      throw RequestFields.missing(field);
    }
    List<int[]> sources = new ArrayList<>();
    if (value.isString()) {
      sources.add(encode(value.stringValue(), -1));
    } else if (value.isArray() && !value.isEmpty() && value.get(0).isIntegralNumber()) {
      sources.add(ids(value, -1));
    } else if (value.isArray() && !value.isEmpty()) {
      if (value.size() > limits.sequences()) {
        throw HttpFailure.badRequest(
            field,
            "\"%s\" has %,d texts, more than %d."
                .formatted(field, value.size(), limits.sequences()));
      }
      for (JsonNode each : value) {
        int number = sources.size();
        if (each.isString()) {
          sources.add(encode(each.stringValue(), number));
        } else if (each.isArray() && !each.isEmpty()) {
          sources.add(ids(each, number));
        } else {
          throw wrong();
        }
      }
    } else {
      throw wrong();
    }
    return sources;
  }

  private HttpFailure wrong() {
    return HttpFailure.badRequest(
        field, "\"" + field + "\" must be a text, a list of texts, or lists of token ids.");
  }

  /**
   * Returns the token ids of a text.
   *
   * @param number of the text in its list, from 0; -1: it is the only one
   */
  int[] encode(String text, int number) {
    int[] ids;
    try {
      ids = generator.tokenizer().encode(text);
    } catch (InvalidInputException e) {
      throw HttpFailure.badRequest(
          field, name(number) + " cannot be read: " + e.getMessage() + ".");
    }
    return checked(ids, number);
  }

  private int[] ids(JsonNode list, int number) {
    int[] ids = new int[list.size()];
    for (int i = 0; i < ids.length; i++) {
      JsonNode id = list.get(i);
      if (!id.isIntegralNumber()
          || !id.canConvertToInt()
          || id.intValue() < 0
          || id.intValue() >= generator.vocabularySize()) {
        throw HttpFailure.badRequest(
            field,
            "%s has %s, which is no token id from 0 to %,d."
                .formatted(name(number), shown(id), generator.vocabularySize() - 1));
      }
      ids[i] = id.intValue();
    }
    return checked(ids, number);
  }

  private static String shown(JsonNode value) {
    String text = value.toString();
    return text.length() > 40 ? text.substring(0, 40) + "..." : text;
  }

  private int[] checked(int[] ids, int number) {
    if (ids.length > limits.sourceTokens()) {
      throw HttpFailure.invalid(
          400,
          "context_length_exceeded",
          field,
          "%s has %,d tokens, more than %,d: make it shorter."
              .formatted(name(number), ids.length, limits.sourceTokens()));
    }
    return ids;
  }

  private String name(int number) {
    return number < 0 ? "\"" + field + "\"" : "\"" + field + "\"[" + number + "]";
  }
}
