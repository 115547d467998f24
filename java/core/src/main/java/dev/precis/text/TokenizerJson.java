package dev.precis.text;

import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.io.JsonObject;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * Reads a {@code tokenizer.json} of Hugging Face's tokenizers: a Unigram, BPE or WordPiece model,
 * and steps of known kinds around it. What is unknown is refused by name, since leaving it out
 * would give other ids without a word. The {@code truncation} and {@code padding} of the file are
 * known and have no effect: lengths are the caller's.
 */
final class TokenizerJson {
  private static final Set<String> TYPES = Set.of("Unigram", "BPE", "WordPiece");
  private static final Set<String> PARTS =
      Set.of("normalizer", "pre_tokenizer", "post_processor", "decoder");

  /** The longest piece: Viterbi's time grows with it. */
  private static final int MAX_PIECE = 1_000;

  private final JsonParser parser;
  private final String where;
  private final Map<String, JsonObject> parts = new HashMap<>();
  private final List<AddedToken> addedTokens = new ArrayList<>();
  private final List<Integer> addedIds = new ArrayList<>();
  private List<String> tokens;
  private double[] scores; // null: BPE
  private List<BpeModel.Merge> merges = List.of();
  private JsonObject options; // the model's fields besides the long ones

  private TokenizerJson(JsonParser parser, String where) {
    this.parser = parser;
    this.where = where;
  }

  /**
   * Reads a tokenizer.
   *
   * @param where the file, for the errors' sentences
   * @param config what the files beside it say
   */
  static TokenizerPipeline read(byte[] json, String where, TokenizerConfig config) {
    try (JsonParser parser = Json.parser(json)) {
      TokenizerJson reader = new TokenizerJson(parser, where);
      reader.read();
      return reader.build(config);
    } catch (JacksonException e) {
      throw Json.invalid(where, e);
    }
  }

  private void read() {
    expect(parser.nextToken(), JsonToken.START_OBJECT, "a tokenizer must be a JSON object");
    while (parser.nextToken() != JsonToken.END_OBJECT) {
      String key = parser.currentName();
      parser.nextToken();
      if (key.equals("model")) {
        readModel();
      } else if (key.equals("added_tokens")) {
        readAddedTokens();
      } else if (PARTS.contains(key) && parser.currentToken() != JsonToken.VALUE_NULL) {
        expect(parser.currentToken(), JsonToken.START_OBJECT, "\"" + key + "\" must be an object");
        parts.put(key, new JsonObject(where, Json.readObject(parser)));
      } else {
        parser.skipChildren();
      }
    }
    if (parser.nextToken() != null) {
      throw invalid("something stands after the tokenizer's object");
    }
    if (tokens == null) {
      throw invalid("it has no \"model\" with a \"vocab\"");
    }
  }

  private TokenizerPipeline build(TokenizerConfig config) {
    Vocabulary vocabulary = new Vocabulary(tokens);
    Map<Integer, AddedToken> added = new HashMap<>();
    for (int i = 0; i < addedTokens.size(); i++) {
      vocabulary.add(addedTokens.get(i).content(), addedIds.get(i), where);
      added.put(addedIds.get(i), addedTokens.get(i));
    }
    config.declaredTokens().addTo(vocabulary, added);
    PartBudget budget = new PartBudget();
    JsonObject normalizerJson = parts.get("normalizer");
    if (normalizerJson != null) {
      config.setBertNormalizer(normalizerJson.node());
    }
    Normalizer normalizer =
        normalizerJson == null
            ? TokenizerPipeline.NO_NORMALIZER
            : Normalizers.read(normalizerJson, budget);
    JsonObject preTokenizer = parts.get("pre_tokenizer");
    if (preTokenizer != null && config.addPrefixSpace() != null) {
      setPrefixSpace(preTokenizer.node(), config.addPrefixSpace());
    }
    JsonObject postProcessor = parts.get("post_processor");
    JsonObject decoder = parts.get("decoder");
    return new TokenizerPipeline(
        vocabulary,
        new AddedTokens(added, normalizer, config.splitSpecialTokens(), where),
        normalizer,
        preTokenizer == null
            ? TokenizerPipeline.NO_PRE_TOKENIZER
            : PreTokenizers.read(preTokenizer, budget),
        model(vocabulary),
        postProcessor == null
            ? PostProcessor.NONE
            : PostProcessor.read(postProcessor, budget, vocabulary),
        decoder == null ? null : Decoders.read(decoder, budget));
  }

  /** Follows {@code add_prefix_space} of the configuration, which counts for byte-level BPE. */
  private static void setPrefixSpace(JsonNode part, boolean add) {
    if (part instanceof ObjectNode object
        && object.get("type") instanceof JsonNode type
        && type.isString()
        && type.stringValue().equals("ByteLevel")) {
      object.put("add_prefix_space", add);
    }
    part.forEach(each -> setPrefixSpace(each, add));
  }

  private SubwordModel model(Vocabulary vocabulary) {
    Map<String, Integer> ids = vocabulary.modelIds();
    boolean byteFallback = options.bool("byte_fallback", false);
    if (scores != null) {
      if (!options.has("unk_id")) {
        throw unknownId();
      }
      int unknown = options.integer("unk_id", 0, Integer.MAX_VALUE);
      if (unknown >= tokens.size()) {
        throw unknownId();
      }
      return new CachedModel(new UnigramModel(tokens, scores, ids, unknown, byteFallback));
    }
    if (options.optionalText("type").filter("WordPiece"::equals).isPresent()) {
      return new CachedModel(wordPiece(ids));
    }
    for (String key : List.of("continuing_subword_prefix", "end_of_word_suffix")) {
      if (options.optionalText(key).filter(text -> !text.isEmpty()).isPresent()) {
        throw new InvalidInputException(
            "%s: a model with a %s is not supported; RoBERTa's and CodeT5's have none"
                .formatted(where, key));
      }
    }
    if (options.number("dropout", 0) != 0) {
      throw new InvalidInputException(
          where + ": a model with dropout gives other ids on every call; set it to null");
    }
    int unknown = -1;
    if (options.has("unk_token")) {
      // A name that the vocabulary lacks has no effect as long as every character is known.
      unknown = ids.getOrDefault(options.text("unk_token"), -1);
    }
    BpeModel.Options settings =
        new BpeModel.Options(
            unknown,
            options.bool("fuse_unk", false),
            byteFallback,
            options.bool("ignore_merges", false),
            where);
    return new CachedModel(new BpeModel(ids, merges, settings));
  }

  private WordPieceModel wordPiece(Map<String, Integer> ids) {
    String unknown = options.optionalText("unk_token").orElse("[UNK]");
    if (!ids.containsKey(unknown)) {
      throw new InvalidInputException(
          "%s: its \"unk_token\", %s, must be one of its %d tokens"
              .formatted(where, unknown, tokens.size()));
    }
    String prefix = options.optionalText("continuing_subword_prefix").orElse("##");
    if (prefix.length() > WordPieceModel.MAX_PREFIX) {
      throw invalid(
          "\"continuing_subword_prefix\" must have at most %d characters"
              .formatted(WordPieceModel.MAX_PREFIX));
    }
    return new WordPieceModel(
        ids,
        ids.get(unknown),
        prefix,
        options.integer("max_input_chars_per_word", 1, WordPieceModel.MAX_WORD, 100));
  }

  private InvalidInputException unknownId() {
    return new InvalidInputException(
        "%s: its \"unk_id\" must name one of its %d pieces".formatted(where, tokens.size()));
  }

  private void readAddedTokens() {
    expect(parser.currentToken(), JsonToken.START_ARRAY, "\"added_tokens\" must be a list");
    while (parser.nextToken() != JsonToken.END_ARRAY) {
      expect(parser.currentToken(), JsonToken.START_OBJECT, "an added token must be an object");
      JsonObject json = new JsonObject(where, Json.readObject(parser));
      addedTokens.add(AddedToken.read(json));
      if (!json.has("id")) {
        throw invalid("an added token needs a \"content\" and an \"id\"");
      }
      addedIds.add(json.integer("id", 0, Integer.MAX_VALUE));
    }
  }

  /** Writes an entry of {@code added_tokens}. */
  static void writeToken(JsonGenerator json, int id, AddedToken token) {
    json.writeStartObject();
    json.writeNumberProperty("id", id);
    json.writeStringProperty("content", token.content());
    json.writeBooleanProperty("single_word", token.singleWord());
    json.writeBooleanProperty("lstrip", token.leftStrip());
    json.writeBooleanProperty("rstrip", token.rightStrip());
    json.writeBooleanProperty("normalized", token.normalized());
    json.writeBooleanProperty("special", token.special());
    json.writeEndObject();
  }

  private void readModel() {
    expect(parser.currentToken(), JsonToken.START_OBJECT, "\"model\" must be an object");
    options = new JsonObject(where, JsonNodeFactory.instance.objectNode());
    while (parser.nextToken() != JsonToken.END_OBJECT) {
      String key = parser.currentName();
      JsonToken value = parser.nextToken();
      switch (key) {
        case "vocab" -> {
          scores = null;
          tokens = value == JsonToken.START_ARRAY ? readPieces() : readBpeVocabulary();
        }
        case "merges" -> merges = readMerges();
        case "type",
            "unk_id",
            "unk_token",
            "byte_fallback",
            "fuse_unk",
            "ignore_merges",
            "dropout",
            "continuing_subword_prefix",
            "end_of_word_suffix",
            "max_input_chars_per_word" ->
            readOption(key, value);
        default -> parser.skipChildren();
      }
    }
    String type = options.optionalText("type").orElse(null);
    if (type != null && !TYPES.contains(type)) {
      throw invalid(
          "a model of the type " + type + " is not supported, only Unigram, BPE and WordPiece are");
    }
    if (tokens != null && type != null && type.equals("Unigram") != (scores != null)) {
      throw invalid("a model of the type " + type + " has a \"vocab\" of another kind");
    }
  }

  private void readOption(String key, JsonToken value) {
    ObjectNode node = options.node();
    switch (value) {
      case VALUE_STRING -> node.put(key, parser.getString());
      case VALUE_TRUE, VALUE_FALSE -> node.put(key, value == JsonToken.VALUE_TRUE);
      case VALUE_NUMBER_INT -> node.put(key, parser.getBigIntegerValue());
      case VALUE_NUMBER_FLOAT -> node.put(key, parser.getDoubleValue());
      case VALUE_NULL -> node.putNull(key);
      default -> throw invalid("\"" + key + "\" must be a plain value");
    }
  }

  /** Reads the pieces of a Unigram model: {@code [["piece", score], ...]}. */
  private List<String> readPieces() {
    List<String> pieces = new ArrayList<>();
    double[] read = new double[1024];
    while (parser.nextToken() != JsonToken.END_ARRAY) {
      int id = pieces.size();
      boolean pair = parser.currentToken() == JsonToken.START_ARRAY;
      pair = pair && parser.nextToken() == JsonToken.VALUE_STRING;
      pieces.add(pair ? piece(parser.getString()) : null);
      pair = pair && parser.nextToken().isNumeric();
      if (id == read.length) {
        read = Arrays.copyOf(read, 2 * id);
      }
      read[id] = pair ? parser.getDoubleValue() : 0;
      pair = pair && Double.isFinite(read[id]) && parser.nextToken() == JsonToken.END_ARRAY;
      if (!pair) {
        throw invalid("entry " + id + " of \"vocab\" must be [piece, score]");
      }
    }
    scores = Arrays.copyOf(read, pieces.size());
    return pieces;
  }

  private String piece(String text) {
    if (text.length() > MAX_PIECE || Characters.unpairedSurrogate(text) >= 0) {
      throw invalid("a token has more than " + MAX_PIECE + " characters or half a character");
    }
    return text;
  }

  /**
   * Reads the vocabulary of a BPE or WordPiece model: {@code {"token": id, ...}}, the ids without
   * gaps, in any order.
   */
  private List<String> readBpeVocabulary() {
    expect(parser.currentToken(), JsonToken.START_OBJECT, "\"vocab\" must be an object or a list");
    List<String> names = new ArrayList<>();
    IdList ids = new IdList();
    while (parser.nextToken() != JsonToken.END_OBJECT) {
      names.add(piece(parser.currentName()));
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

  /** Reads merges: {@code ["left right", ...]}, or {@code [["left", "right"], ...]}. */
  private List<BpeModel.Merge> readMerges() {
    expect(parser.currentToken(), JsonToken.START_ARRAY, "\"merges\" must be a list");
    List<BpeModel.Merge> read = new ArrayList<>();
    while (parser.nextToken() != JsonToken.END_ARRAY) {
      String left = null;
      String right = null;
      if (parser.currentToken() == JsonToken.VALUE_STRING) {
        String text = parser.getString();
        int space = text.indexOf(' ');
        if (space >= 0 && text.indexOf(' ', space + 1) < 0) {
          left = text.substring(0, space);
          right = text.substring(space + 1);
        }
      } else if (parser.currentToken() == JsonToken.START_ARRAY) {
        left = parser.nextToken() == JsonToken.VALUE_STRING ? parser.getString() : null;
        right =
            left != null && parser.nextToken() == JsonToken.VALUE_STRING
                ? parser.getString()
                : null;
        right = right != null && parser.nextToken() == JsonToken.END_ARRAY ? right : null;
      }
      if (right == null) {
        throw invalid("merge " + (read.size() + 1) + " must be two tokens");
      }
      read.add(new BpeModel.Merge(left, right));
    }
    return read;
  }

  private int id() {
    if (parser.currentToken() == JsonToken.VALUE_NUMBER_INT
        && parser.getNumberType() == JsonParser.NumberType.INT
        && parser.getIntValue() >= 0) {
      return parser.getIntValue();
    }
    throw invalid("an id must be a whole number that is not negative");
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
