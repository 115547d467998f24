package dev.precis.text;

import dev.precis.io.InvalidInputException;
import dev.precis.io.JsonObject;
import java.util.Arrays;
import java.util.stream.IntStream;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The special tokens around a text, read from the post-processor of {@code tokenizer.json}.
 *
 * @param prefix ids before the text
 * @param suffix ids after it
 * @param onlyIfAbsent whether a text that ends with the suffix gets no second one
 */
record PostProcessor(int[] prefix, int[] suffix, boolean onlyIfAbsent) {
  /** Adds nothing. */
  static final PostProcessor NONE = new PostProcessor(new int[0], new int[0]);

  private static final int MAX_TOKENS = 64;

  PostProcessor(int[] prefix, int[] suffix) {
    this(prefix, suffix, false);
  }

  /** Appends the suffix to a text's ids. */
  void end(IdList ids) {
    boolean present = onlyIfAbsent && ids.size() >= suffix.length;
    for (int i = 0; present && i < suffix.length; i++) {
      present = ids.get(ids.size() - suffix.length + i) == suffix[i];
    }
    if (!present) {
      ids.addAll(suffix);
    }
  }

  /**
   * Reads a post-processor.
   *
   * @param budget counts the parts of the file
   * @param vocabulary holds every token that it may add
   * @throws InvalidInputException if its type is unknown, a field is wrong or an id is no token's
   */
  static PostProcessor read(JsonObject json, PartBudget budget, Vocabulary vocabulary) {
    budget.take(json);
    String type = PartBudget.type(json, "post_processor");
    PostProcessor read =
        switch (type) {
          case "Sequence" ->
              budget.list(json, "processors", (part, rest) -> read(part, rest, vocabulary)).stream()
                  .reduce(NONE, PostProcessor::inside);
          case "ByteLevel" -> NONE; // it moves offsets, which nobody asks for
          case "RobertaProcessing" ->
              new PostProcessor(new int[] {named(json, "cls")}, new int[] {named(json, "sep")});
          case "TemplateProcessing" -> template(json);
          default -> throw PartBudget.unknown(json, "post_processor", type);
        };
    if (read.prefix.length + read.suffix.length > MAX_TOKENS) {
      throw new InvalidInputException(
          json.where() + ": its post_processor adds more than " + MAX_TOKENS + " tokens");
    }
    IntStream.concat(Arrays.stream(read.prefix), Arrays.stream(read.suffix))
        .filter(id -> id >= vocabulary.size())
        .findFirst()
        .ifPresent(
            id -> {
              throw new InvalidInputException(
                  "%s: its post_processor adds the id %d, which no token has"
                      .formatted(json.where(), id));
            });
    return read;
  }

  /** Returns what another post-processor makes of this one's result. */
  private PostProcessor inside(PostProcessor outer) {
    return new PostProcessor(joined(outer.prefix, prefix), joined(suffix, outer.suffix));
  }

  private static int[] joined(int[] first, int[] second) {
    return IntStream.concat(Arrays.stream(first), Arrays.stream(second)).toArray();
  }

  /** Reads {@code ["<s>", 0]}. */
  private static int named(JsonObject json, String key) {
    JsonNode value = json.node().get(key);
    if (value == null || !value.isArray() || value.size() != 2 || !value.get(0).isString()) {
      throw json.wrong(key, "a token and its id, such as [\"<s>\", 0]");
    }
    return id(value.get(1), json, key);
  }

  private static int id(JsonNode value, JsonObject json, String key) {
    if (!value.isIntegralNumber() || !value.canConvertToInt() || value.intValue() < 0) {
      throw json.wrong(key, "made of ids, whole numbers that are not negative");
    }
    return value.intValue();
  }

  /** Reads the template of a single text. */
  private static PostProcessor template(JsonObject json) {
    JsonNode single = json.node().get("single");
    if (single == null || !single.isArray()) {
      throw json.wrong("single", "a list of tokens and the text's place");
    }
    JsonObject special = json.object("special_tokens");
    IdList prefix = new IdList();
    IdList suffix = new IdList();
    boolean text = false;
    for (JsonNode item : single) {
      if (item.get("Sequence") instanceof ObjectNode sequence) {
        JsonNode name = sequence.get("id");
        if (text || name == null || !name.isString() || !name.stringValue().equals("A")) {
          throw json.wrong("single", "a template with the text A in it once");
        }
        text = true;
      } else if (item.get("SpecialToken") instanceof ObjectNode token) {
        JsonNode name = token.get("id");
        if (name == null || !name.isString()) {
          throw json.wrong("single", "a list whose special tokens have an id");
        }
        if (prefix.size() + suffix.size() > MAX_TOKENS) {
          throw json.wrong("single", "a template of at most " + MAX_TOKENS + " tokens");
        }
        if (!special.has(name.stringValue())) {
          throw new InvalidInputException(
              "%s: the template names the special token \"%s\", which \"special_tokens\" lacks"
                  .formatted(json.where(), name.stringValue()));
        }
        JsonNode ids = special.object(name.stringValue()).node().get("ids");
        if (ids == null || !ids.isArray() || ids.size() > MAX_TOKENS) {
          throw json.wrong("special_tokens", "tokens with a list of ids each");
        }
        for (JsonNode id : ids) {
          (text ? suffix : prefix).add(id(id, json, "special_tokens"));
        }
      } else {
        throw json.wrong("single", "a list of tokens and the text's place");
      }
    }
    if (!text) {
      throw json.wrong("single", "a template with the text A in it once");
    }
    return new PostProcessor(prefix.toArray(), suffix.toArray());
  }
}
