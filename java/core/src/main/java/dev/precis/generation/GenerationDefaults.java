package dev.precis.generation;

import dev.precis.checkpoint.GenerationKey;
import dev.precis.checkpoint.GenerationKey.Treatment;
import dev.precis.generation.GenerationOptions.EarlyStopping;
import dev.precis.io.InvalidInputException;
import dev.precis.io.JsonObject;
import dev.precis.t5.GenerationConfig;
import dev.precis.t5.T5Config;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import tools.jackson.databind.JsonNode;

/**
 * The options of generation that a model folder asks for, as transformers would follow them: {@link
 * GenerationKey} says which of them are followed here.
 */
public final class GenerationDefaults {
  private static final int SHOWN = 60;

  /** Settings that change nothing, of keys that are not followed. */
  private static final Map<String, Double> NEUTRAL =
      Map.of(
          "min_p", 0.0,
          "top_h", 1.0,
          "typical_p", 1.0,
          "epsilon_cutoff", 0.0,
          "eta_cutoff", 0.0,
          "guidance_scale", 1.0,
          "penalty_alpha", 0.0,
          "diversity_penalty", 0.0,
          "num_beam_groups", 1.0);

  private static final Set<String> WARPERS =
      Set.of("min_p", "top_h", "typical_p", "epsilon_cutoff", "eta_cutoff");

  private final GenerationConfig config;
  private final JsonObject json;
  private final TokenRuleSettings tokenRules;
  private final T5Config model;

  /**
   * Takes the settings of a model folder.
   *
   * @param model the model's shape and its start and end tokens
   */
  public GenerationDefaults(GenerationConfig config, T5Config model) {
    this.config = config;
    this.json = config.settings();
    this.model = model;
    this.tokenRules = new TokenRuleSettings(json, model.vocabSize());
  }

  /**
   * The settings that took effect and those that did not.
   *
   * @param followed as {@code key=value}: settings that differ from what holds without them
   * @param ignored as {@code key=value}: settings that this engine does not follow
   */
  public record Applied(List<String> followed, List<String> ignored) {}

  /** Returns the name of the file that holds the settings, with its folder. */
  public String file() {
    return json.where();
  }

  /**
   * Returns the model's own options, the defaults where the folder says nothing.
   *
   * @throws InvalidInputException if a setting is out of range; the message names the file
   */
  public GenerationOptions options() {
    GenerationOptions.Builder builder = GenerationOptions.builder();
    apply(builder, key -> false);
    try {
      return builder.build();
    } catch (InvalidInputException e) {
      throw new InvalidInputException(file() + ": " + e.getMessage(), e);
    }
  }

  /**
   * Sets the options that the folder asks for.
   *
   * @param builder has the caller's own options already
   * @param overridden whether the caller's own option replaces this key of the file
   * @throws InvalidInputException if a setting is not of its type; the message names file and key
   */
  public Applied apply(GenerationOptions.Builder builder, Predicate<String> overridden) {
    List<String> followed = new ArrayList<>();
    SettingUse setting =
        (key, changes) -> {
          if (changes) {
            followed.add(shown(key));
          }
        };
    Predicate<String> applies = key -> json.has(key) && !overridden.test(key);
    length(builder, applies, overridden, setting);
    if (applies.test("do_sample")) {
      builder.sample(json.bool("do_sample", false));
      setting.took("do_sample", builder.sample());
    }
    if (applies.test("num_beams")) {
      builder.numBeams(integer("num_beams"));
      setting.took("num_beams", builder.numBeams() != 1);
    }
    if (builder.numBeams() > 1) {
      beams(builder, applies, setting);
    }
    if (builder.sample()) {
      sampling(builder, applies, setting);
    }
    if (applies.test("num_return_sequences")) {
      builder.numReturnSequences(integer("num_return_sequences"));
      setting.took("num_return_sequences", integer("num_return_sequences") != 1);
    }
    if (applies.test("repetition_penalty")) {
      builder.repetitionPenalty(number("repetition_penalty"));
      setting.took("repetition_penalty", number("repetition_penalty") != 1);
    }
    if (applies.test("no_repeat_ngram_size")) {
      builder.noRepeatNgramSize(integer("no_repeat_ngram_size"));
      setting.took("no_repeat_ngram_size", integer("no_repeat_ngram_size") != 0);
    }
    builder.tokenRules(tokenRules.read(setting));
    tokens(setting);
    return new Applied(List.copyOf(followed), ignored(builder.sample()));
  }

  /** Sets the lengths; max_length and min_length count the start token. */
  private void length(
      GenerationOptions.Builder builder,
      Predicate<String> applies,
      Predicate<String> overridden,
      SettingUse setting) {
    int most = GenerationOptions.DEFAULT.maxNewTokens();
    boolean ownMost = overridden.test("max_new_tokens");
    if (applies.test("max_new_tokens")) {
      builder.maxNewTokens(json.integer("max_new_tokens", 1, 1 << 20));
      setting.took("max_new_tokens", builder.maxNewTokens() != most);
    } else if (!ownMost && json.has("max_length")) {
      builder.maxNewTokens(json.integer("max_length", 2, (1 << 20) + 1) - 1);
      setting.took("max_length", builder.maxNewTokens() != most);
    }
    boolean ownLeast = overridden.test("min_new_tokens");
    if (applies.test("min_new_tokens")) {
      builder.minNewTokens(json.integer("min_new_tokens", 0, 1 << 20));
      setting.took("min_new_tokens", builder.minNewTokens() != 0);
    } else if (!ownLeast && json.has("min_length")) {
      builder.minNewTokens(Math.max(0, json.integer("min_length", 0, 1 << 20) - 1));
      setting.took("min_length", builder.minNewTokens() != 0);
    }
    if (!ownLeast) {
      // A folder that asks for more than the most gets the most, none of which is an end token, as
      // in transformers; a caller who does is told.
      builder.minNewTokens(Math.min(builder.minNewTokens(), builder.maxNewTokens()));
    }
  }

  private void beams(
      GenerationOptions.Builder builder, Predicate<String> applies, SettingUse setting) {
    if (applies.test("length_penalty")) {
      builder.lengthPenalty(number("length_penalty"));
      setting.took("length_penalty", number("length_penalty") != 1);
    }
    if (applies.test("early_stopping")) {
      EarlyStopping stopping = earlyStopping();
      builder.earlyStopping(stopping);
      setting.took("early_stopping", stopping != EarlyStopping.FALSE);
    }
    if (json.has("renormalize_logits")) {
      builder.renormalizeLogits(json.bool("renormalize_logits", false));
      setting.took("renormalize_logits", json.bool("renormalize_logits", false));
    }
  }

  private EarlyStopping earlyStopping() {
    JsonNode value = json.node().get("early_stopping");
    if (value.isString() && value.stringValue().equals("never")) {
      return EarlyStopping.NEVER;
    }
    if (!value.isBoolean()) {
      throw json.wrong("early_stopping", "true, false or \"never\"");
    }
    return value.booleanValue() ? EarlyStopping.TRUE : EarlyStopping.FALSE;
  }

  private void sampling(
      GenerationOptions.Builder builder, Predicate<String> applies, SettingUse setting) {
    if (applies.test("temperature")) {
      builder.temperature(number("temperature"));
      setting.took("temperature", number("temperature") != 1);
    }
    if (applies.test("top_k")) {
      builder.topK(integer("top_k"));
      setting.took("top_k", integer("top_k") != GenerationOptions.DEFAULT.topK());
    }
    if (applies.test("top_p")) {
      builder.topP(number("top_p"));
      setting.took("top_p", number("top_p") != 1);
    }
  }

  /** Start and end tokens are the model's already; here it is only said that they are unusual. */
  private void tokens(SettingUse setting) {
    boolean starts = json.has("decoder_start_token_id");
    setting.took("decoder_start_token_id", starts && model.decoderStartTokenId() != 0);
    setting.took(
        "bos_token_id", !starts && json.has("bos_token_id") && model.decoderStartTokenId() != 0);
    setting.took(
        "eos_token_id", json.has("eos_token_id") && !model.eosTokenIds().equals(List.of(1)));
  }

  private List<String> ignored(boolean samples) {
    List<String> ignored = new ArrayList<>();
    int odd = 0;
    for (String name : json.keys()) {
      GenerationKey key = GenerationKey.of(name);
      if (!json.has(name) || key != null && key.treatment() != Treatment.NAMED) {
        continue;
      }
      if (key == null && !name.matches("[A-Za-z0-9_.-]{1,60}")) {
        odd++;
      } else if (!neutral(name) && (samples || !WARPERS.contains(name))) {
        ignored.add(shown(name));
      }
    }
    if (odd > 0) {
      ignored.add(odd + " with names that are not shown");
    }
    config.outdated().forEach(key -> ignored.add(key + " of config.json"));
    return List.copyOf(ignored);
  }

  private boolean neutral(String name) {
    JsonNode value = json.node().get(name);
    if (value.isNumber() && NEUTRAL.containsKey(name)) {
      return value.doubleValue() == NEUTRAL.get(name);
    }
    return value.isBoolean() && !value.booleanValue() || value.isContainer() && value.isEmpty();
  }

  private String shown(String key) {
    String value = json.node().get(key).toString();
    return key + "=" + (value.length() <= SHOWN ? value : value.substring(0, SHOWN) + "...");
  }

  private int integer(String key) {
    return json.integer(key, Integer.MIN_VALUE, Integer.MAX_VALUE);
  }

  private float number(String key) {
    return (float) json.number(key);
  }
}
