package dev.precis.generation;

import dev.precis.generation.TokenRules.LengthDecay;
import dev.precis.generation.TokenRules.SequenceBias;
import dev.precis.io.InvalidInputException;
import dev.precis.io.JsonObject;
import dev.precis.t5.GenerationConfig;
import java.util.ArrayList;
import java.util.List;
import tools.jackson.databind.JsonNode;

/** Reads {@link TokenRules} from the settings of a model folder. */
record TokenRuleSettings(JsonObject json, int vocabSize) {
  /**
   * Reads the rules.
   *
   * @param setting receives the keys that are there
   * @throws InvalidInputException if one is not of its type or names no token of the vocabulary
   */
  TokenRules read(SettingUse setting) {
    List<SequenceBias> bias = sequenceBias();
    float sourcePenalty = (float) json.number("encoder_repetition_penalty", 1);
    int sourceNgram = json.integer("encoder_no_repeat_ngram_size", 0, Integer.MAX_VALUE, 0);
    List<List<Integer>> badWords = sequences("bad_words_ids");
    List<Integer> first = GenerationConfig.tokens(json, "forced_bos_token_id", vocabSize);
    if (first.size() > 1) {
      throw json.wrong("forced_bos_token_id", "one token");
    }
    List<Integer> last = GenerationConfig.tokens(json, "forced_eos_token_id", vocabSize);
    LengthDecay decay = lengthDecay();
    List<Integer> never = known("suppress_tokens");
    List<Integer> notFirst = known("begin_suppress_tokens");
    setting.took("sequence_bias", !bias.isEmpty());
    setting.took("encoder_repetition_penalty", sourcePenalty != 1);
    setting.took("encoder_no_repeat_ngram_size", sourceNgram != 0);
    setting.took("bad_words_ids", !badWords.isEmpty());
    setting.took("forced_bos_token_id", !first.isEmpty());
    setting.took("forced_eos_token_id", !last.isEmpty());
    setting.took("exponential_decay_length_penalty", decay != null);
    setting.took("suppress_tokens", !never.isEmpty());
    setting.took("begin_suppress_tokens", !notFirst.isEmpty());
    try {
      return new TokenRules(
          bias,
          sourcePenalty,
          sourceNgram,
          badWords,
          first.isEmpty() ? null : first.getFirst(),
          last,
          decay,
          never,
          notFirst);
    } catch (InvalidInputException e) {
      throw new InvalidInputException(json.where() + ": " + e.getMessage(), e);
    }
  }

  private List<SequenceBias> sequenceBias() {
    if (!json.has("sequence_bias")) {
      return List.of();
    }
    List<SequenceBias> all = new ArrayList<>();
    JsonNode value = json.node().get("sequence_bias");
    if (!value.isArray()) {
      throw wrongBias();
    }
    for (JsonNode pair : value) {
      if (!pair.isArray() || pair.size() != 2 || !pair.get(1).isNumber()) {
        throw wrongBias();
      }
      List<Integer> tokens = tokens(pair.get(0));
      if (tokens == null) {
        throw wrongBias();
      }
      all.add(new SequenceBias(tokens, pair.get(1).floatValue()));
    }
    return all;
  }

  private InvalidInputException wrongBias() {
    return json.wrong(
        "sequence_bias", "a list of [[tokens], bias], of tokens from 0 to " + (vocabSize - 1));
  }

  private List<List<Integer>> sequences(String key) {
    if (!json.has(key)) {
      return List.of();
    }
    List<List<Integer>> all = new ArrayList<>();
    JsonNode value = json.node().get(key);
    String rule = "a list of lists of tokens, from 0 to " + (vocabSize - 1);
    if (!value.isArray()) {
      throw json.wrong(key, rule);
    }
    for (JsonNode each : value) {
      List<Integer> tokens = tokens(each);
      if (tokens == null) {
        throw json.wrong(key, rule);
      }
      all.add(tokens);
    }
    return all;
  }

  /** Returns the tokens of a list that is not empty; null where it is something else. */
  private List<Integer> tokens(JsonNode list) {
    List<Integer> tokens = new ArrayList<>();
    for (JsonNode each : list) {
      if (!each.isIntegralNumber()
          || !each.canConvertToInt()
          || each.intValue() < 0
          || each.intValue() >= vocabSize) {
        return null;
      }
      tokens.add(each.intValue());
    }
    return list.isArray() && !tokens.isEmpty() ? tokens : null;
  }

  /** Returns the tokens of a list that the vocabulary has: others cannot be generated anyway. */
  private List<Integer> known(String key) {
    List<Integer> tokens = new ArrayList<>();
    if (json.has(key)) {
      JsonNode value = json.node().get(key);
      if (!value.isArray()) {
        throw json.wrong(key, "a list of tokens");
      }
      for (JsonNode each : value) {
        if (!each.isIntegralNumber()) {
          throw json.wrong(key, "a list of tokens");
        }
        if (each.canConvertToInt() && each.intValue() >= 0 && each.intValue() < vocabSize) {
          tokens.add(each.intValue());
        }
      }
    }
    return tokens;
  }

  private LengthDecay lengthDecay() {
    String key = "exponential_decay_length_penalty";
    if (!json.has(key)) {
      return null;
    }
    JsonNode value = json.node().get(key);
    if (!value.isArray()
        || value.size() != 2
        || !value.get(0).isIntegralNumber()
        || !value.get(0).canConvertToInt()
        || !value.get(1).isNumber()) {
      throw json.wrong(key, "[start, factor]");
    }
    return new LengthDecay(value.get(0).intValue(), value.get(1).doubleValue());
  }
}
