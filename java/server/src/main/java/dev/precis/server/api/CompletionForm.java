package dev.precis.server.api;

import java.util.List;
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
    json.writeNullProperty("top_logprobs");
    json.writeName("text_offset");
    json.writeStartArray();
    tokens.forEach(token -> json.writeNumber(token.offset()));
    json.writeEndArray();
    json.writeEndObject();
  }
}
