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
 * @param logProbabilities whether those of the tokens are wanted
 */
record TextRequest(
    Served model,
    List<int[]> sources,
    DecodingFields decoding,
    boolean streams,
    boolean usage,
    boolean logProbabilities) {

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

  /** Reads the fields that both endpoints have, and refuses those that nobody has read. */
  static TextRequest read(
      RequestFields fields,
      Served model,
      List<int[]> sources,
      DecodingFields decoding,
      boolean logProbabilities,
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
    return new TextRequest(model, sources, decoding, streams, usage, logProbabilities);
  }
}
