package dev.precis.text;

import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.io.Utf8;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/**
 * RoBERTa's tokenizer (byte-level BPE, Radford et al. 2019) from {@code vocab.json} and {@code
 * merges.txt}.
 */
final class ByteLevelBpe {
  private static final String MASK = "<mask>";

  private ByteLevelBpe() {}

  /**
   * Writes the same tokenizer as a {@code tokenizer.json}, {@code <s>} before and {@code </s>}
   * after, or what the configuration names instead.
   */
  static byte[] toTokenizerJson(Path vocabulary, Path merges, TokenizerConfig config) {
    String start = config.content("cls_token", "<s>");
    String end = config.content("sep_token", "</s>");
    boolean prefixSpace = Boolean.TRUE.equals(config.addPrefixSpace());
    Set<String> names = new LinkedHashSet<>(List.of(start, "<pad>", end, "<unk>", MASK));
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (JsonGenerator json = Json.generator(out)) {
      json.writeStartObject();
      json.writeStringProperty("version", "1.0");
      json.writeObjectPropertyStart("model");
      json.writeStringProperty("type", "BPE");
      json.writeName("vocab");
      Map<String, Integer> special = copyVocabulary(vocabulary, names, json);
      json.writeName("merges");
      writeMerges(merges, json);
      json.writeEndObject();
      json.writeArrayPropertyStart("added_tokens");
      for (String token : names) {
        if (special.containsKey(token)) {
          boolean mask = token.equals(MASK); // it takes the space before it along
          TokenizerJson.writeToken(
              json, special.get(token), new AddedToken(token, false, mask, false, false, true));
        }
      }
      json.writeEndArray();
      if (!special.containsKey(start) || !special.containsKey(end)) {
        throw new InvalidInputException(
            vocabulary + " has no " + start + " and " + end + ", which RoBERTa's tokenizer needs");
      }
      json.writeObjectPropertyStart("post_processor");
      json.writeStringProperty("type", "RobertaProcessing");
      writePair(json, "sep", end, special.get(end));
      writePair(json, "cls", start, special.get(start));
      json.writeBooleanProperty("trim_offsets", true);
      json.writeBooleanProperty("add_prefix_space", prefixSpace);
      json.writeEndObject();
      for (String part : List.of("pre_tokenizer", "decoder")) {
        json.writeObjectPropertyStart(part);
        json.writeStringProperty("type", "ByteLevel");
        json.writeBooleanProperty("add_prefix_space", prefixSpace);
        json.writeBooleanProperty("trim_offsets", true);
        json.writeBooleanProperty("use_regex", true);
        json.writeEndObject();
      }
      json.writeEndObject();
    }
    return out.toByteArray();
  }

  /** Copies {@code {"token": id, ...}} and returns the ids of the special tokens in it. */
  private static Map<String, Integer> copyVocabulary(
      Path file, Set<String> names, JsonGenerator out) {
    Map<String, Integer> special = new HashMap<>();
    try (JsonParser in = Json.parser(TokenizerFile.read(file))) {
      if (in.nextToken() != JsonToken.START_OBJECT) {
        throw new InvalidInputException(file + " must hold a JSON object");
      }
      out.writeStartObject();
      while (in.nextToken() != JsonToken.END_OBJECT) {
        String token = in.currentName();
        if (in.nextToken() != JsonToken.VALUE_NUMBER_INT) {
          throw new InvalidInputException(file + ": \"" + token + "\" must have a whole number");
        }
        int id = in.getIntValue();
        out.writeNumberProperty(token, id);
        if (names.contains(token)) {
          special.put(token, id);
        }
      }
      out.writeEndObject();
    } catch (JacksonException e) {
      throw Json.invalid(file.toString(), e);
    }
    return special;
  }

  /** Writes the merges, one a line, "left right"; the first line may name the format's version. */
  private static void writeMerges(Path file, JsonGenerator out) {
    ByteBuffer bytes = ByteBuffer.wrap(TokenizerFile.read(file));
    List<String> lines = Utf8.decode(bytes, file.toString()).lines().toList();
    out.writeStartArray();
    for (int i = 0; i < lines.size(); i++) {
      String line = lines.get(i);
      if (line.isBlank() || i == 0 && line.startsWith("#version")) {
        continue;
      }
      String[] pair = line.split(" ", -1);
      if (pair.length != 2 || pair[0].isEmpty() || pair[1].isEmpty()) {
        throw new InvalidInputException(
            "%s, line %d: a merge is two tokens with a space between, not \"%s\""
                .formatted(file, i + 1, line.substring(0, Math.min(line.length(), 60))));
      }
      out.writeStartArray();
      out.writeString(pair[0]);
      out.writeString(pair[1]);
      out.writeEndArray();
    }
    out.writeEndArray();
  }

  private static void writePair(JsonGenerator json, String key, String token, int id) {
    json.writeArrayPropertyStart(key);
    json.writeString(token);
    json.writeNumber(id);
    json.writeEndArray();
  }
}
