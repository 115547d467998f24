package dev.precis.server.api;

import dev.precis.server.http.HttpFailure;
import dev.precis.server.http.Limits;
import dev.precis.server.models.ServedModels.Served;
import java.util.List;

/**
 * A request for text, as its fields say.
 *
 * @param sources token ids of each prompt, end tokens included
 * @param streams whether the text is sent as it is generated
 * @param usage whether a stream ends with the numbers of tokens
 * @param logProbabilities whether those of the tokens are wanted; the options of decoding have the
 *     number of alternatives beside each
 */
record TextRequest(
    Served model,
    List<int[]> sources,
    DecodingFields decoding,
    boolean streams,
    boolean usage,
    boolean logProbabilities) {

  /** The number of alternatives of a request that wants no log-probabilities at all. */
  static final int NO_LOG_PROBABILITIES = -1;

  /**
   * Checks what concerns several fields.
   *
   * @throws HttpFailure if they do not fit together
   */
  TextRequest {
    if (logProbabilities && decoding.options().numBeams() > 1) {
      throw HttpFailure.unsupported(
          "logprobs",
          "\"logprobs\" are not known here, because the model's folder asks for beam search: use a"
              + " temperature above 0.");
    }
  }

  /**
   * Reads the fields that both endpoints have, and refuses those that nobody has read.
   *
   * @param alternatives to each token, or {@link #NO_LOG_PROBABILITIES}
   */
  static TextRequest read(
      RequestFields fields,
      Served model,
      List<int[]> sources,
      DecodingFields decoding,
      int alternatives,
      Limits limits) {
    int n = decoding.options().numReturnSequences();
    if (sources.size() * n > limits.sequences()) {
      throw HttpFailure.badRequest(
          "n",
          "%d prompts with an n of %d are more than %d results."
              .formatted(sources.size(), n, limits.sequences()));
    }
    boolean streams = fields.bool("stream", false);
    RequestFields options = fields.object("stream_options");
    boolean usage = false;
    if (options != null) {
      usage = options.bool("include_usage", false);
      options.ignore("include_obfuscation").refuseOthers();
      if (!streams) {
        throw HttpFailure.badRequest(
            "stream_options", "\"stream_options\" needs \"stream\" to be true.");
      }
    }
    fields.ignore(
        "user",
        "metadata",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_retention",
        "service_tier",
        "parallel_tool_calls");
    fields.neutral(
        "store",
        value -> value.isBoolean() && !value.booleanValue(),
        "must be false: nothing is stored.");
    fields.refuseOthers();
    boolean logProbabilities = alternatives != NO_LOG_PROBABILITIES;
    return new TextRequest(
        model,
        sources,
        logProbabilities ? decoding.withAlternatives(alternatives) : decoding,
        streams,
        usage,
        logProbabilities);
  }
}
