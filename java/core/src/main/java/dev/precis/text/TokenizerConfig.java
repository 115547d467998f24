package dev.precis.text;

import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.io.JsonObject;
import dev.precis.io.Notes;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Reads what stands beside a tokenizer: {@code tokenizer_config.json}, and, as transformers does
 * where that has no {@code added_tokens_decoder}, {@code special_tokens_map.json} and {@code
 * added_tokens.json}.
 */
final class TokenizerConfig {
  static final String CONFIG = "tokenizer_config.json";
  static final String SPECIAL_TOKENS_MAP = "special_tokens_map.json";
  static final String ADDED_TOKENS = "added_tokens.json";

  static final String WORD_PIECES = "vocab.txt";

  /** The classes of transformers that read WordPieces in BERT's way. */
  private static final Set<String> BERT_CLASSES =
      Set.of("BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer");

  private static final int T5_EXTRA_IDS = 100;
  private static final int BYT5_EXTRA_IDS = 125;
  private static final int MAX_EXTRA_IDS = 10_000;

  /** More added tokens than any model's. */
  private static final int MAX_ID = 1 << 24;

  private final String where;
  private final JsonObject config;
  private final boolean bert;
  private final Map<String, AddedToken> special = new LinkedHashMap<>(); // by key
  private final List<AddedToken> additional = new ArrayList<>();
  private final SortedMap<Integer, AddedToken> byId = new TreeMap<>();
  private String addedWhere;

  private TokenizerConfig(Path folder) {
    Path file = folder.resolve(CONFIG);
    where = file.toString();
    addedWhere = where;
    config = readObject(file);
    bert = isBert(folder);
    noteKeys(config, KeyTable.TOKENIZER_CONFIG);
    readSpecialTokens(config);
    if (config.has("added_tokens_decoder")) {
      JsonObject decoder = config.object("added_tokens_decoder");
      for (String key : decoder.keys()) {
        byId.put(parseId(key, decoder.where()), AddedToken.read(decoder.object(key)));
      }
    } else {
      readOlderFiles(folder);
    }
  }

  /** Returns whether the tokenizer is BERT's, whose keys for capitals and accents count. */
  private boolean isBert(Path folder) {
    return tokenizerClass().isEmpty()
        ? Files.exists(folder.resolve(WORD_PIECES))
        : BERT_CLASSES.contains(tokenizerClass());
  }

  /** Reads a folder's files; without them everything is as usual. */
  static TokenizerConfig read(Path folder) {
    return new TokenizerConfig(folder);
  }

  private static JsonObject readObject(Path file) {
    return Files.exists(file) ? Json.readObject(file) : Json.parseObject("{}", file.toString());
  }

  private void readOlderFiles(Path folder) {
    JsonObject map = readObject(folder.resolve(SPECIAL_TOKENS_MAP));
    noteKeys(map, KeyTable.SPECIAL_TOKENS_MAP);
    readSpecialTokens(map);
    JsonObject added = readObject(folder.resolve(ADDED_TOKENS));
    if (added.keys().isEmpty()) {
      return;
    }
    addedWhere = added.where();
    Set<String> specialContents =
        named().stream().map(AddedToken::content).collect(Collectors.toSet());
    for (String content : added.keys()) {
      AddedToken.checked(content, added.where());
      boolean isSpecial = specialContents.contains(content);
      AddedToken token = new AddedToken(content, false, false, false, !isSpecial, isSpecial);
      byId.put(added.integer(content, 0, MAX_ID), token);
    }
  }

  /** Names keys that would change something and are not followed, and keys that are unknown. */
  private void noteKeys(JsonObject file, Map<String, KeyTable.Entry> table) {
    for (String key : file.keys()) {
      KeyTable.Entry entry = table.get(key);
      JsonNode value = file.node().get(key);
      if (entry == null) {
        if (!isToken(key)) {
          Notes.say(file.where() + ": the key \"" + key + "\" is not known and has no effect");
        }
      } else if (entry.treatment() == KeyTable.Treatment.NOTED
          && !value.isNull()
          && !value.toString().equals(entry.harmless())
          && !(key.equals("do_lower_case") && bert)) {
        Notes.say(
            "%s: \"%s\" is %s, which is not followed: %s"
                .formatted(file.where(), key, value, entry.remark()));
      }
    }
  }

  private static boolean isToken(String key) {
    return key.endsWith("_token");
  }

  private void readSpecialTokens(JsonObject file) {
    for (String key : file.keys()) {
      boolean list = key.equals("additional_special_tokens") || key.equals("extra_special_tokens");
      JsonNode value = file.node().get(key);
      if (isToken(key) && (value.isString() || value.isObject())) {
        special.put(key, token(value, file, key));
      } else if (isToken(key) && !value.isNull() && KeyTable.SPECIAL_TOKENS_MAP.containsKey(key)) {
        throw file.wrong(key, "a token");
      } else if (list && file.has(key)) {
        if (!value.isArray() && !value.isObject()) {
          throw file.wrong(key, "a list of tokens");
        }
        for (JsonNode item : value) {
          additional.add(token(item, file, key));
        }
      }
    }
  }

  /** Reads a token: a text, or an object with the text as its content. */
  private static AddedToken token(JsonNode value, JsonObject file, String key) {
    if (value instanceof ObjectNode object && object.hasNonNull("content")) {
      JsonObject json = new JsonObject(file.where() + ", \"" + key + "\"", object);
      return AddedToken.read(json).withSpecial(true);
    }
    if (!value.isString()) {
      throw file.wrong(key, "a token");
    }
    return AddedToken.special(AddedToken.checked(value.stringValue(), file.where()));
  }

  private static int parseId(String key, String where) {
    if (key.matches("[0-9]{1,8}") && Integer.parseInt(key) <= MAX_ID) {
      return Integer.parseInt(key);
    }
    throw new InvalidInputException(
        "%s: the key \"%s\" must be an id, a whole number from 0 to %d"
            .formatted(where, key, MAX_ID));
  }

  private List<AddedToken> named() {
    List<AddedToken> named = new ArrayList<>(special.values());
    named.addAll(additional);
    return named;
  }

  /** Returns the tokens that these files add. */
  DeclaredTokens declaredTokens() {
    Set<String> required =
        Stream.of("pad_token", "eos_token", "unk_token")
            .filter(special::containsKey)
            .map(key -> special.get(key).content())
            .collect(Collectors.toSet());
    return new DeclaredTokens(byId, named(), required, addedWhere);
  }

  /** Returns the number of {@code <extra_id_N>} beside a {@code spiece.model}. */
  int extraIds() {
    return config.integer("extra_ids", 0, MAX_EXTRA_IDS, T5_EXTRA_IDS);
  }

  /** Returns the number of {@code <extra_id_N>} of ByT5's tokenizer. */
  int byteExtraIds() {
    return config.integer("extra_ids", 0, MAX_EXTRA_IDS, BYT5_EXTRA_IDS);
  }

  /** Returns the tokenizer's class in transformers, or an empty text. */
  String tokenizerClass() {
    String name = config.optionalText("tokenizer_class").orElse("");
    return name.endsWith("Fast") ? name.substring(0, name.length() - 4) : name;
  }

  /** Returns whether the tokenizer is BERT's. */
  boolean isBert() {
    return bert;
  }

  /** Returns whether a text starts with a space, or {@code null} where nothing is said. */
  Boolean addPrefixSpace() {
    return config.has("add_prefix_space") ? config.bool("add_prefix_space", false) : null;
  }

  /** Lets the keys of BERT's tokenizer count in a BertNormalizer, as transformers does. */
  void setBertNormalizer(JsonNode normalizer) {
    if (normalizer instanceof ObjectNode object
        && object.path("type").isString()
        && object.get("type").stringValue().equals("BertNormalizer")) {
      put(object, "do_lower_case", "lowercase");
      put(object, "strip_accents", "strip_accents");
      put(object, "tokenize_chinese_chars", "handle_chinese_chars");
    }
  }

  private void put(ObjectNode normalizer, String key, String setting) {
    if (config.has(key)) {
      normalizer.put(setting, config.bool(key, false));
    }
  }

  /** Returns true if special tokens in a text are text like any other. */
  boolean splitSpecialTokens() {
    return config.bool("split_special_tokens", false);
  }

  /**
   * Returns true if decoded text loses the spaces before punctuation.
   *
   * @param bpe whether the model is BPE, whose decoder puts no such spaces there
   */
  boolean cleanUp(boolean bpe) {
    return config.bool("clean_up_tokenization_spaces", false)
        && (!bpe
            || config.bool(
                "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output", false));
  }

  /** Returns the content of a special token: the one named here, else the usual one. */
  String content(String key, String usual) {
    AddedToken token = special.get(key);
    return token == null ? usual : token.content();
  }

  /**
   * Returns the id of a special token: the one named here, else the usual one, else -1.
   *
   * @throws InvalidInputException if the vocabulary lacks the one named here
   */
  int id(String key, String usual, Vocabulary vocabulary) {
    int id = vocabulary.id(content(key, usual));
    if (id < 0 && special.containsKey(key)) {
      throw new InvalidInputException(
          "%s: \"%s\" is \"%s\", which the vocabulary has not"
              .formatted(where, key, special.get(key).content()));
    }
    return id;
  }
}
