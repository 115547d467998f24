package dev.precis.t5;

import dev.precis.checkpoint.GenerationKey;
import dev.precis.checkpoint.ModelFolder;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.io.JsonObject;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The two files of a model folder that say how it generates, each read once: {@code config.json},
 * which {@link T5Config} takes the shape from, and the settings of generation, {@code
 * generation_config.json} or, in a folder without that file, the same keys in {@code config.json},
 * where older versions of transformers kept them. {@link GenerationKey} lists the keys.
 *
 * @param model what {@code config.json} says
 * @param settings the keys that are set; empty where none is
 * @param outdated keys of {@code config.json} that do not apply, because there is a {@code
 *     generation_config.json}, as in transformers
 */
public record GenerationConfig(JsonObject model, JsonObject settings, List<String> outdated) {
  private static final String FILE = "generation_config.json";

  /** The keys that {@code config.json} itself has a use for. */
  private static final Set<String> OWN_KEYS =
      Set.of("transformers_version", "_commit_hash", "use_cache", "pad_token_id");

  /**
   * Reads the settings of a model folder.
   *
   * @throws InvalidInputException if one of the files is no JSON object
   */
  public static GenerationConfig read(Path folder) {
    Path file = folder.resolve(FILE);
    JsonObject model = Json.readObject(ModelFolder.config(folder));
    List<String> legacy = new ArrayList<>();
    for (String key : model.keys()) {
      if (GenerationKey.of(key) != null && !OWN_KEYS.contains(key) && model.has(key)) {
        legacy.add(key);
      }
    }
    if (!Files.exists(file)) {
      ObjectNode settings = model.node().objectNode();
      legacy.forEach(key -> settings.set(key, model.node().get(key)));
      return new GenerationConfig(model, new JsonObject(model.where(), settings), List.of());
    }
    JsonObject settings = Json.readObject(file);
    legacy.removeAll(List.of("decoder_start_token_id", "bos_token_id", "eos_token_id"));
    legacy.removeIf(
        key ->
            GenerationKey.of(key).treatment() != GenerationKey.Treatment.FOLLOWED
                || model.node().get(key).equals(settings.node().get(key)));
    return new GenerationConfig(model, settings, List.copyOf(legacy));
  }

  /**
   * Reads {@code config.json} without any setting of generation, for a caller that ignores them.
   *
   * @throws InvalidInputException if the file is no JSON object
   */
  public static GenerationConfig none(Path folder) {
    return new GenerationConfig(
        Json.readObject(ModelFolder.config(folder)),
        Json.parseObject("{}", folder.resolve(FILE).toString()),
        List.of());
  }

  /**
   * Returns the token that the decoder starts with: {@code decoder_start_token_id}, otherwise
   * {@code bos_token_id}, first of these settings, then of {@code config.json}, otherwise 0.
   *
   * @throws InvalidInputException if it is no token of the vocabulary
   */
  int startToken(int vocabSize) {
    for (JsonObject from : List.of(settings, model)) {
      for (String key : List.of("decoder_start_token_id", "bos_token_id")) {
        if (from.has(key)) {
          return startToken(from, key, vocabSize);
        }
      }
    }
    return 0;
  }

  private static int startToken(JsonObject from, String key, int vocabSize) {
    List<Integer> tokens = tokens(from, key, vocabSize);
    if (tokens.size() != 1) {
      throw from.wrong(key, "one token: a start token for each row of a batch is not supported");
    }
    return tokens.getFirst();
  }

  /**
   * Returns the tokens that end a sequence, of these settings, otherwise of {@code config.json},
   * otherwise 1.
   *
   * @throws InvalidInputException if one is no token of the vocabulary
   */
  List<Integer> endTokens(int vocabSize) {
    for (JsonObject from : List.of(settings, model)) {
      List<Integer> tokens = tokens(from, "eos_token_id", vocabSize);
      if (!tokens.isEmpty()) {
        return tokens;
      }
    }
    return List.of(1);
  }

  /**
   * Reads a token or a list of tokens, each once.
   *
   * @return empty for an absent key
   * @throws InvalidInputException if it is something else, or not in the vocabulary
   */
  public static List<Integer> tokens(JsonObject from, String key, int vocabSize) {
    if (!from.has(key)) {
      return List.of();
    }
    JsonNode value = from.node().get(key);
    Set<Integer> tokens = new LinkedHashSet<>();
    for (JsonNode each : value.isArray() ? value : List.of(value)) {
      if (!each.isIntegralNumber()
          || !each.canConvertToInt()
          || each.intValue() < 0
          || each.intValue() >= vocabSize) {
        throw from.wrong(
            key,
            "a token, or a list of tokens, from 0 to " + (vocabSize - 1) + " of the vocabulary");
      }
      tokens.add(each.intValue());
    }
    return List.copyOf(tokens);
  }
}
