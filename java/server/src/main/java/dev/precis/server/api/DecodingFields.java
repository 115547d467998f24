package dev.precis.server.api;

import dev.precis.generation.GenerationOptions;
import dev.precis.server.http.HttpFailure;
import dev.precis.server.http.Limits;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;

/**
 * The fields of a request that say how its text is decoded.
 *
 * @param options of decoding
 * @param stops texts that end a result and are left out of it
 */
record DecodingFields(GenerationOptions options, List<String> stops) {
  private static final int MAX_STOPS = 16;
  private static final int MAX_STOP_LENGTH = 1000;

  /**
   * Reads the fields. Tokens are sampled if temperature is above 0, or if it is absent and top_p,
   * top_k or an n above 1 is there, which would be without effect otherwise; else the model's own
   * settings hold, which are greedy for most.
   *
   * @param model the model's own options
   * @param maxTokens name of the field that limits the new tokens
   */
  static DecodingFields read(
      RequestFields fields, GenerationOptions model, Limits limits, String maxTokens) {
    GenerationOptions.Builder builder = model.with();
    builder.maxSourceTokens(limits.sourceTokens());
    int most = Math.min(model.maxNewTokens(), limits.newTokens());
    most = fields.integer(maxTokens, 1, limits.newTokens(), most);
    builder.maxNewTokens(most);
    int least = Math.min(model.minNewTokens(), most);
    builder.minNewTokens(fields.integer("min_tokens", 0, most, least));
    int n = fields.integer("n", 1, limits.sequences(), 1);
    builder.numReturnSequences(n);
    sampling(fields, builder, model, n);
    builder.repetitionPenalty(
        fields.number("repetition_penalty", 0.01, 100, model.repetitionPenalty()));
    neutral(fields, n);
    return new DecodingFields(builder.build(), stops(fields));
  }

  /**
   * Returns the same with alternatives to each token; beams, which have none, are left to the check
   * of {@link TextRequest}.
   */
  DecodingFields withAlternatives(int count) {
    return options.numBeams() > 1
        ? this
        : new DecodingFields(options.with().alternatives(count).build(), stops);
  }

  private static void sampling(
      RequestFields fields, GenerationOptions.Builder builder, GenerationOptions model, int n) {
    boolean hot = fields.has("temperature");
    float temperature =
        fields.number("temperature", 0, 2, model.sample() ? model.temperature() : 1);
    boolean narrowed = fields.has("top_p") | fields.has("top_k");
    boolean sample = hot ? temperature > 0 : model.sample() || narrowed || n > 1;
    long seed = fields.whole("seed", ThreadLocalRandom.current().nextLong());
    float topP = fields.number("top_p", 0, 1, model.sample() ? model.topP() : 1);
    int topK = fields.integer("top_k", 0, 1 << 20, model.sample() ? model.topK() : 0);
    if (!sample) {
      if (n > 1) {
        throw HttpFailure.badRequest(
            "n", "\"n\" above 1 needs a temperature above 0: greedy results are all the same.");
      }
      return;
    }
    if (topP == 0) {
      throw HttpFailure.badRequest("top_p", "\"top_p\" must be above 0.");
    }
    builder.numBeams(1).sample(true).temperature(temperature).topP(topP).topK(topK).seed(seed);
  }

  /** Accepts what OpenAI's API has and this engine has not, where it changes nothing. */
  private static void neutral(RequestFields fields, int n) {
    fields.neutral(
        "frequency_penalty",
        value -> value.isNumber() && value.doubleValue() == 0,
        "is not supported by this server: leave it out, or use \"repetition_penalty\".");
    fields.neutral(
        "presence_penalty",
        value -> value.isNumber() && value.doubleValue() == 0,
        "is not supported by this server: leave it out, or use \"repetition_penalty\".");
    fields.neutral(
        "logit_bias",
        value -> value.isObject() && value.isEmpty(),
        "is not supported by this server: leave it out.");
    fields.neutral(
        "best_of",
        value -> value.isIntegralNumber() && value.intValue() == n,
        "is not supported by this server beyond \"n\": leave it out.");
  }

  private static List<String> stops(RequestFields fields) {
    List<String> stops = fields.texts("stop");
    if (stops == null) {
      return List.of();
    }
    if (stops.size() > MAX_STOPS) {
      throw HttpFailure.badRequest(
          "stop", "\"stop\" has %d texts, more than %d.".formatted(stops.size(), MAX_STOPS));
    }
    for (String stop : stops) {
      if (stop.isEmpty() || stop.length() > MAX_STOP_LENGTH) {
        throw HttpFailure.badRequest(
            "stop", "A text of \"stop\" must have 1 to %,d characters.".formatted(MAX_STOP_LENGTH));
      }
    }
    return stops;
  }
}
