package dev.precis.text;

import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/**
 * Reads a {@code tokenizer.json} before the engine does. The engine is native code that ends the
 * process where it meets something that it did not expect, so what it is given is known to be good:
 * a Unigram or BPE model, parts of known kinds, a sound charsmap. What it reports by itself (merges
 * that fit no vocabulary, missing fields) is left to it.
 */
final class TokenizerJson {
  private static final Map<String, Set<String>> PARTS =
      Map.of(
          "normalizer",
          Set.of(
              "Sequence",
              "Precompiled",
              "NFC",
              "NFD",
              "NFKC",
              "NFKD",
              "Nmt",
              "Lowercase",
              "StripAccents",
              "Replace",
              "Prepend"),
          "pre_tokenizer",
          Set.of(
              "Sequence",
              "WhitespaceSplit",
              "Whitespace",
              "Metaspace",
              "ByteLevel",
              "Split",
              "Digits",
              "Punctuation"),
          "post_processor",
          Set.of("Sequence", "TemplateProcessing", "RobertaProcessing", "ByteLevel"),
          "decoder",
          Set.of("Sequence", "Metaspace", "ByteLevel", "ByteFallback", "Fuse", "Replace"));

  private final JsonParser parser;
  private final String where;
  private final Runnable partsChecked;
  private final List<AddedToken> addedTokens = new ArrayList<>();
  private List<String> tokens;

  private record AddedToken(String content, int id) {}

  private TokenizerJson(JsonParser parser, String where, Runnable partsChecked) {
    this.parser = parser;
    this.where = where;
    this.partsChecked = partsChecked;
  }

  /**
   * Checks a tokenizer and returns its vocabulary.
   *
   * @param where the file, for the errors' sentences
   * @param partsChecked called once, as soon as the engine can be given the text: when all that
   *     stands before the long vocabulary is good, or at the end where the order is unusual
   */
  static Vocabulary read(byte[] json, String where, Runnable partsChecked) {
    try (JsonParser parser = Json.parser(json)) {
      return new TokenizerJson(parser, where, partsChecked).read();
    } catch (JacksonException e) {
      throw Json.invalid(where, e);
    }
  }

  private Vocabulary read() {
    expect(parser.nextToken(), JsonToken.START_OBJECT, "a tokenizer must be a JSON object");
    Set<String> seen = new HashSet<>();
    boolean early = false;
    while (parser.nextToken() != JsonToken.END_OBJECT) {
      String key = parser.currentName();
      parser.nextToken();
      seen.add(key);
      if (key.equals("model")) {
        early = seen.containsAll(PARTS.keySet());
        if (early) {
          partsChecked.run();
        }
        readModel();
      } else if (key.equals("added_tokens")) {
        readAddedTokens();
      } else if (PARTS.containsKey(key) && parser.currentToken() != JsonToken.VALUE_NULL) {
        readPart(key);
      } else {
        parser.skipChildren();
      }
    }
    if (tokens == null) {
      throw invalid("it has no \"model\" with a \"vocab\"");
    }
    if (!early) {
      partsChecked.run();
    }
    Vocabulary vocabulary = new Vocabulary(tokens);
    for (AddedToken token : addedTokens) {
      vocabulary.add(token.content, token.id, where);
    }
    return vocabulary;
  }

  private void readPart(String part) {
    expect(parser.currentToken(), JsonToken.START_OBJECT, "\"" + part + "\" must be an object");
    String type = null;
    boolean hasCharsmap = false;
    while (parser.nextToken() != JsonToken.END_OBJECT) {
      String key = parser.currentName();
      JsonToken value = parser.nextToken();
      switch (key) {
        case "type" -> type = text("type");
        case "precompiled_charsmap" -> {
          Charsmap.check(base64(text("precompiled_charsmap")), where);
          hasCharsmap = true;
        }
        case "normalizers", "pretokenizers", "processors", "decoders" -> {
          expect(value, JsonToken.START_ARRAY, "\"" + key + "\" must be a list");
          while (parser.nextToken() != JsonToken.END_ARRAY) {
            readPart(part);
          }
        }
        default -> parser.skipChildren();
      }
    }
    if (type == null || !PARTS.get(part).contains(type)) {
      throw invalid("a " + part + " of the type " + type + " is not supported");
    }
    if (type.equals("Precompiled") && !hasCharsmap) {
      throw invalid("the Precompiled normalizer has no precompiled_charsmap");
    }
  }

  private void readAddedTokens() {
    expect(parser.currentToken(), JsonToken.START_ARRAY, "\"added_tokens\" must be a list");
    while (parser.nextToken() != JsonToken.END_ARRAY) {
      expect(parser.currentToken(), JsonToken.START_OBJECT, "an added token must be an object");
      String content = null;
      int id = -1;
      while (parser.nextToken() != JsonToken.END_OBJECT) {
        String key = parser.currentName();
        parser.nextToken();
        switch (key) {
          case "content" -> content = text("content");
          case "id" -> id = id();
          default -> parser.skipChildren();
        }
      }
      if (content == null || content.isEmpty() || id < 0) {
        throw invalid("an added token needs a \"content\" and an \"id\"");
      }
      addedTokens.add(new AddedToken(content, id));
    }
  }

  /** Writes an entry of {@code added_tokens}; {@code stripLeft}: it swallows the space before. */
  static void writeSpecialToken(JsonGenerator json, int id, String content, boolean stripLeft) {
    json.writeStartObject();
    json.writeNumberProperty("id", id);
    json.writeStringProperty("content", content);
    json.writeBooleanProperty("single_word", false);
    json.writeBooleanProperty("lstrip", stripLeft);
    json.writeBooleanProperty("rstrip", false);
    json.writeBooleanProperty("normalized", false);
    json.writeBooleanProperty("special", true);
    json.writeEndObject();
  }

  private void readModel() {
    expect(parser.currentToken(), JsonToken.START_OBJECT, "\"model\" must be an object");
    String type = null;
    int unknownId = -1;
    boolean unigram = false;
    while (parser.nextToken() != JsonToken.END_OBJECT) {
      String key = parser.currentName();
      JsonToken value = parser.nextToken();
      switch (key) {
        case "type" -> type = text("type");
        case "unk_id" -> unknownId = value == JsonToken.VALUE_NULL ? -1 : id();
        case "vocab" -> {
          unigram = value == JsonToken.START_ARRAY;
          tokens = unigram ? readPieces() : readBpeVocabulary();
        }
        case "dropout" -> {
          if (value != JsonToken.VALUE_NULL && parser.getValueAsDouble() != 0) {
            throw invalid("a model with dropout gives other ids on every call; set it to null");
          }
        }
        default -> parser.skipChildren();
      }
    }
    if (type != null && !type.equals("Unigram") && !type.equals("BPE")) {
      throw invalid("a model of the type " + type + " is not supported, only Unigram and BPE are");
    }
    if (unigram && (unknownId < 0 || unknownId >= tokens.size())) {
      throw invalid("its \"unk_id\" must name one of its " + tokens.size() + " pieces");
    }
  }

  /** Reads the pieces of a Unigram model: {@code [["piece", score], ...]}. */
  private List<String> readPieces() {
    List<String> pieces = new ArrayList<>();
    while (parser.nextToken() != JsonToken.END_ARRAY) {
      boolean pair = parser.currentToken() == JsonToken.START_ARRAY;
      pair = pair && parser.nextToken() == JsonToken.VALUE_STRING;
      pieces.add(pair ? parser.getString() : null);
      pair = pair && parser.nextToken().isNumeric();
      pair = pair && parser.nextToken() == JsonToken.END_ARRAY;
      if (!pair) {
        throw invalid("entry " + (pieces.size() - 1) + " of \"vocab\" must be [piece, score]");
      }
    }
    return pieces;
  }

  /**
   * Reads the vocabulary of a BPE model: {@code {"token": id, ...}}, the ids without gaps, in any
   * order.
   */
  private List<String> readBpeVocabulary() {
    expect(parser.currentToken(), JsonToken.START_OBJECT, "\"vocab\" must be an object or a list");
    List<String> names = new ArrayList<>();
    List<Integer> ids = new ArrayList<>();
    while (parser.nextToken() != JsonToken.END_OBJECT) {
      names.add(parser.currentName());
      parser.nextToken();
      ids.add(id());
    }
    String[] byId = new String[names.size()];
    for (int i = 0; i < byId.length; i++) {
      int id = ids.get(i);
      if (id >= byId.length || byId[id] != null) {
        throw invalid(
            "the ids in \"vocab\" must be 0 to %d, each once, but \"%s\" has %d"
                .formatted(byId.length - 1, names.get(i), id));
      }
      byId[id] = names.get(i);
    }
    return Arrays.asList(byId);
  }

  private String text(String key) {
    expect(parser.currentToken(), JsonToken.VALUE_STRING, "\"" + key + "\" must be a text");
    return parser.getString();
  }

  private int id() {
    if (parser.currentToken() == JsonToken.VALUE_NUMBER_INT
        && parser.getNumberType() == JsonParser.NumberType.INT
        && parser.getIntValue() >= 0) {
      return parser.getIntValue();
    }
    throw invalid("an id must be a whole number that is not negative");
  }

  /**
   * Decodes Base64. The engine is stricter than Java: it wants the padding, and no stray bits
   * before it.
   */
  private byte[] base64(String text) {
    try {
      byte[] bytes = Base64.getDecoder().decode(text);
      byte[] last = Arrays.copyOfRange(bytes, Math.max(bytes.length - 1, 0) / 3 * 3, bytes.length);
      String end = Base64.getEncoder().encodeToString(last);
      if (text.length() % 4 == 0 && text.endsWith(end)) {
        return bytes;
      }
    } catch (IllegalArgumentException e) {
      // the sentence below
    }
    throw invalid("the precompiled_charsmap is not base64");
  }

  private void expect(JsonToken token, JsonToken expected, String otherwise) {
    if (token != expected) {
      throw invalid(otherwise);
    }
  }

  private InvalidInputException invalid(String what) {
    int line = parser.currentLocation().getLineNr();
    return new InvalidInputException(where + ", line " + line + ": " + what);
  }
}
