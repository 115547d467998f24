package dev.precis.text;

import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.io.Utf8;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import tools.jackson.core.JsonGenerator;

/** BERT's tokenizer (WordPiece, Devlin et al. 2019) from {@code vocab.txt} alone. */
final class WordPieceVocabulary {
  private WordPieceVocabulary() {}

  /**
   * Writes the same tokenizer as a {@code tokenizer.json}, {@code [CLS]} before a text and {@code
   * [SEP]} after it, or what the configuration names instead.
   *
   * @throws InvalidInputException if a token is there twice, a special one is missing, or the
   *     configuration names a tokenizer that cuts otherwise
   */
  static byte[] toTokenizerJson(Path vocabulary, TokenizerConfig config) {
    if (!config.isBert()) {
      throw new InvalidInputException(
          "%s: a %s is not read from its vocab.txt; save the tokenizer with its tokenizer.json"
              .formatted(vocabulary, config.tokenizerClass()));
    }
    Map<String, Integer> ids = read(vocabulary);
    String start = config.content("cls_token", "[CLS]");
    String end = config.content("sep_token", "[SEP]");
    String unknown = config.content("unk_token", "[UNK]");
    for (String needed : List.of(start, end, unknown)) {
      if (!ids.containsKey(needed)) {
        throw new InvalidInputException(
            "%s has no %s, which BERT's tokenizer needs".formatted(vocabulary, needed));
      }
    }
    Set<String> special =
        new LinkedHashSet<>(
            List.of(
                config.content("pad_token", "[PAD]"),
                unknown,
                start,
                end,
                config.content("mask_token", "[MASK]")));
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (JsonGenerator json = Json.generator(out)) {
      json.writeStartObject();
      json.writeStringProperty("version", "1.0");
      json.writeArrayPropertyStart("added_tokens");
      for (String token : special) {
        if (ids.containsKey(token)) {
          TokenizerJson.writeToken(json, ids.get(token), AddedToken.special(token));
        }
      }
      json.writeEndArray();
      json.writeObjectPropertyStart("normalizer");
      json.writeStringProperty("type", "BertNormalizer");
      json.writeEndObject();
      json.writeObjectPropertyStart("pre_tokenizer");
      json.writeStringProperty("type", "BertPreTokenizer");
      json.writeEndObject();
      json.writeObjectPropertyStart("post_processor");
      json.writeStringProperty("type", "BertProcessing");
      writePair(json, "sep", end, ids.get(end));
      writePair(json, "cls", start, ids.get(start));
      json.writeEndObject();
      json.writeObjectPropertyStart("decoder");
      json.writeStringProperty("type", "WordPiece");
      json.writeStringProperty("prefix", "##");
      json.writeBooleanProperty("cleanup", true);
      json.writeEndObject();
      json.writeObjectPropertyStart("model");
      json.writeStringProperty("type", "WordPiece");
      json.writeStringProperty("unk_token", unknown);
      json.writeStringProperty("continuing_subword_prefix", "##");
      json.writeNumberProperty("max_input_chars_per_word", 100);
      json.writeObjectPropertyStart("vocab");
      ids.forEach(json::writeNumberProperty);
      json.writeEndObject();
      json.writeEndObject();
      json.writeEndObject();
    }
    return out.toByteArray();
  }

  /** Reads one token a line; a token's id is its line. */
  private static Map<String, Integer> read(Path file) {
    ByteBuffer bytes = ByteBuffer.wrap(TokenizerFile.read(file));
    List<String> lines = Utf8.decode(bytes, file.toString()).lines().toList();
    Map<String, Integer> ids = new LinkedHashMap<>();
    for (int i = 0; i < lines.size(); i++) {
      if (ids.put(lines.get(i), i) != null) {
        throw new InvalidInputException(
            "%s, line %d: the token \"%s\" is there twice"
                .formatted(
                    file, i + 1, lines.get(i).substring(0, Math.min(lines.get(i).length(), 60))));
      }
    }
    return ids;
  }

  private static void writePair(JsonGenerator json, String key, String token, int id) {
    json.writeArrayPropertyStart(key);
    json.writeString(token);
    json.writeNumber(id);
    json.writeEndArray();
  }
}
