package dev.precis.text;

import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/**
 * The settings of {@code tokenizer_config.json} that {@code tokenizer.json} lacks.
 *
 * @param where the file, for the errors' sentences
 * @param specialTokens by key ({@code pad_token}, {@code eos_token}, {@code unk_token})
 * @param extraIds how many {@code <extra_id_N>} T5's tokenizer has
 */
record TokenizerConfig(String where, Map<String, String> specialTokens, int extraIds) {
  private static final int T5_EXTRA_IDS = 100;
  private static final int MAX_EXTRA_IDS = 10_000;

  /** Reads the file where it exists; without it everything is as usual. */
  static TokenizerConfig read(Path file) {
    Map<String, String> specialTokens = new HashMap<>();
    int extraIds = T5_EXTRA_IDS;
    if (Files.exists(file)) {
      try (JsonParser parser = Json.parser(TokenizerFile.read(file))) {
        if (parser.nextToken() != JsonToken.START_OBJECT) {
          throw new InvalidInputException(file + " must hold a JSON object");
        }
        while (parser.nextToken() != JsonToken.END_OBJECT) {
          String key = parser.currentName();
          JsonToken value = parser.nextToken();
          switch (key) {
            case "pad_token", "eos_token", "unk_token" -> {
              if (value != JsonToken.VALUE_NULL) {
                specialTokens.put(key, token(parser, file, key));
              }
            }
            case "extra_ids" -> {
              extraIds = value == JsonToken.VALUE_NUMBER_INT ? parser.getIntValue() : -1;
              if (extraIds < 0 || extraIds > MAX_EXTRA_IDS) {
                throw new InvalidInputException(
                    file + ": \"extra_ids\" must be a whole number from 0 to " + MAX_EXTRA_IDS);
              }
            }
            default -> parser.skipChildren();
          }
        }
      } catch (JacksonException e) {
        throw Json.invalid(file.toString(), e);
      }
    }
    return new TokenizerConfig(file.toString(), specialTokens, extraIds);
  }

  /** Reads a token: a text, or an object with the text as its content. */
  private static String token(JsonParser parser, Path file, String key) {
    String token = null;
    if (parser.currentToken() == JsonToken.VALUE_STRING) {
      token = parser.getString();
    } else if (parser.currentToken() == JsonToken.START_OBJECT) {
      while (parser.nextToken() != JsonToken.END_OBJECT) {
        boolean content = parser.currentName().equals("content");
        if (parser.nextToken() == JsonToken.VALUE_STRING && content) {
          token = parser.getString();
        }
        parser.skipChildren();
      }
    }
    if (token == null) {
      throw new InvalidInputException(file + ": \"" + key + "\" must be a token");
    }
    return token;
  }

  /** Returns the id of a special token: the one named here, else the usual one, else -1. */
  int id(String key, String usual, Vocabulary vocabulary) {
    String named = specialTokens.get(key);
    int id = vocabulary.id(named == null ? usual : named);
    if (id < 0 && named != null) {
      throw new InvalidInputException(
          "%s: \"%s\" is \"%s\", which the vocabulary has not".formatted(where, key, named));
    }
    return id;
  }
}
