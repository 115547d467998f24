package dev.precis.text;

import dev.precis.io.InvalidInputException;
import dev.precis.io.JsonObject;
import dev.precis.text.PairTemplate.Part;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The special tokens around a text, read from the post-processor of {@code tokenizer.json}.
 *
 * @param prefix ids before the text
 * @param suffix ids after it
 * @param onlyIfAbsent whether a text that ends with the suffix gets no second one
 * @param pair what a pair of texts gets; null: pairs are not supported
 */
record PostProcessor(int[] prefix, int[] suffix, boolean onlyIfAbsent, PairTemplate pair) {
  /** Adds nothing. */
  static final PostProcessor NONE =
      new PostProcessor(new int[0], new int[0], false, PairTemplate.PLAIN);

  private static final int MAX_TOKENS = 64;

  /** Makes one for texts that have no pair. */
  PostProcessor(int[] prefix, int[] suffix, boolean onlyIfAbsent) {
    this(prefix, suffix, onlyIfAbsent, null);
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
          case "RobertaProcessing" -> roberta(named(json, "cls"), named(json, "sep"));
          case "BertProcessing" -> bert(named(json, "cls"), named(json, "sep"));
          case "TemplateProcessing" -> template(json);
          default -> throw PartBudget.unknown(json, "post_processor", type);
        };
    if (read.prefix.length + read.suffix.length > MAX_TOKENS
        || read.pair != null && read.pair.specialTokens() > MAX_TOKENS) {
      throw new InvalidInputException(
          json.where() + ": its post_processor adds more than " + MAX_TOKENS + " tokens");
    }
    IntStream.concat(
            IntStream.concat(Arrays.stream(read.prefix), Arrays.stream(read.suffix)),
            read.pair == null
                ? IntStream.empty()
                : read.pair.parts().stream().flatMapToInt(part -> Arrays.stream(part.ids())))
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
    // A step that adds nothing leaves a pair to the other one.
    PairTemplate both = this == NONE ? outer.pair : outer == NONE ? pair : null;
    return new PostProcessor(
        joined(outer.prefix, prefix), joined(suffix, outer.suffix), false, both);
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

  private static PostProcessor roberta(int start, int end) {
    return enclosed(start, end, new int[] {end, end}, 0);
  }

  private static PostProcessor bert(int start, int end) {
    return enclosed(start, end, new int[] {end}, 1);
  }

  /** Stands around a text and around a pair of texts; the second one has its own type. */
  private static PostProcessor enclosed(int start, int end, int[] between, int secondType) {
    return new PostProcessor(
        new int[] {start},
        new int[] {end},
        false,
        new PairTemplate(
            List.of(
                Part.special(0, start),
                Part.first(0),
                Part.special(0, between),
                Part.second(secondType),
                Part.special(secondType, end))));
  }

  /** Reads the template of a single text. */
  private static PostProcessor template(JsonObject json) {
    JsonNode single = json.node().get("single");
    if (single == null || !single.isArray()) {
      throw json.wrong("single", "a list of tokens and the text's place");
    }
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
        (text ? suffix : prefix).addAll(specialIds(json, name.stringValue()));
      } else {
        throw json.wrong("single", "a list of tokens and the text's place");
      }
    }
    if (!text) {
      throw json.wrong("single", "a template with the text A in it once");
    }
    return new PostProcessor(prefix.toArray(), suffix.toArray(), false, pairTemplate(json));
  }

  /** Reads the template of a pair; null where it does not hold each text once, in order. */
  private static PairTemplate pairTemplate(JsonObject json) {
    JsonNode pair = json.node().get("pair");
    if (pair == null || !pair.isArray() || pair.size() > MAX_TOKENS) {
      return null;
    }
    List<Part> parts = new ArrayList<>();
    int next = 0; // the text that is due
    for (JsonNode item : pair) {
      JsonNode part =
          item.get("Sequence") != null ? item.get("Sequence") : item.get("SpecialToken");
      if (!(part instanceof ObjectNode object) || !object.path("id").isString()) {
        throw json.wrong("pair", "a list of tokens and the two texts' places");
      }
      String name = object.get("id").stringValue();
      int type = new JsonObject(json.where(), object).integer("type_id", 0, 1, 0);
      if (item.get("SpecialToken") != null) {
        parts.add(Part.special(type, specialIds(json, name)));
      } else if (name.equals(next == 0 ? "A" : "B") && next < 2) {
        parts.add(new Part(next++, new int[0], type));
      } else {
        return null;
      }
    }
    return next == 2 ? new PairTemplate(parts) : null;
  }

  private static int[] specialIds(JsonObject json, String name) {
    JsonObject special = json.object("special_tokens");
    if (!special.has(name)) {
      throw new InvalidInputException(
          "%s: the template names the special token \"%s\", which \"special_tokens\" lacks"
              .formatted(json.where(), name));
    }
    JsonNode ids = special.object(name).node().get("ids");
    if (ids == null || !ids.isArray() || ids.size() > MAX_TOKENS) {
      throw json.wrong("special_tokens", "tokens with a list of ids each");
    }
    int[] read = new int[ids.size()];
    for (int i = 0; i < read.length; i++) {
      read[i] = id(ids.get(i), json, "special_tokens");
    }
    return read;
  }
}
