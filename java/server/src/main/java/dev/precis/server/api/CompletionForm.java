package dev.precis.server.api;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.core.JsonGenerator;

/** The JSON of {@code /v1/completions}. */
final class CompletionForm implements ResponseForm {
  @Override
  public String idPrefix() {
    return "cmpl-";
  }

  @Override
  public String object() {
    return "text_completion";
  }

  @Override
  public String pieceObject() {
    return "text_completion";
  }

  @Override
  public boolean announces() {
    return false;
  }

  @Override
  public void writeText(JsonGenerator json, String text) {
    json.writeStringProperty("text", text);
  }

  @Override
  public void writePiece(JsonGenerator json, String text, boolean first) {
    json.writeStringProperty("text", text);
  }

  @Override
  public void writeLogProbabilities(JsonGenerator json, List<ResultText.Token> tokens) {
    json.writeStartObject();
    json.writeName("tokens");
    json.writeStartArray();
    tokens.forEach(token -> json.writeString(token.text()));
    json.writeEndArray();
    json.writeName("token_logprobs");
    json.writeStartArray();
    tokens.forEach(token -> json.writeNumber(token.logProbability()));
    json.writeEndArray();
    json.writeName("top_logprobs");
    if (tokens.stream().allMatch(token -> token.alternatives().isEmpty())) {
      json.writeNull();
    } else {
      json.writeStartArray();
      tokens.forEach(token -> writeAlternatives(json, token));
      json.writeEndArray();
    }
    json.writeName("text_offset");
    json.writeStartArray();
    tokens.forEach(token -> json.writeNumber(token.offset()));
    json.writeEndArray();
    json.writeEndObject();
  }

  /** Writes log-probabilities by text; of tokens with the same text, that of the first counts. */
  private static void writeAlternatives(JsonGenerator json, ResultText.Token token) {
    Map<String, Float> byText = new LinkedHashMap<>();
    token.alternatives().forEach(each -> byText.putIfAbsent(each.text(), each.logProbability()));
    byText.putIfAbsent(token.text(), token.logProbability());
    json.writeStartObject();
    byText.forEach(json::writeNumberProperty);
    json.writeEndObject();
  }
}
