package dev.precis.server.api;

import java.nio.charset.StandardCharsets;
import java.util.List;
import tools.jackson.core.JsonGenerator;

/** The JSON of {@code /v1/chat/completions}. */
final class ChatForm implements ResponseForm {
  @Override
  public String idPrefix() {
    return "chatcmpl-";
  }

  @Override
  public String object() {
    return "chat.completion";
  }

  @Override
  public String pieceObject() {
    return "chat.completion.chunk";
  }

  @Override
  public boolean announces() {
    return true;
  }

  @Override
  public void writeText(JsonGenerator json, String text) {
    json.writeName("message");
    json.writeStartObject();
    json.writeStringProperty("role", "assistant");
    json.writeStringProperty("content", text);
    json.writeNullProperty("refusal");
    json.writeEndObject();
  }

  @Override
  public void writePiece(JsonGenerator json, String text, boolean first) {
    json.writeName("delta");
    json.writeStartObject();
    if (first) {
      json.writeStringProperty("role", "assistant");
    }
    if (first || !text.isEmpty()) {
      json.writeStringProperty("content", text);
    }
    json.writeEndObject();
  }

  @Override
  public void writeLogProbabilities(JsonGenerator json, List<ResultText.Token> tokens) {
    json.writeStartObject();
    json.writeName("content");
    json.writeStartArray();
    for (ResultText.Token token : tokens) {
      json.writeStartObject();
      writeToken(json, token.text(), token.logProbability());
      json.writeName("top_logprobs");
      json.writeStartArray();
      for (ResultText.Alternative each : token.alternatives()) {
        json.writeStartObject();
        writeToken(json, each.text(), each.logProbability());
        json.writeEndObject();
      }
      json.writeEndArray();
      json.writeEndObject();
    }
    json.writeEndArray();
    json.writeNullProperty("refusal");
    json.writeEndObject();
  }

  private static void writeToken(JsonGenerator json, String text, float logProbability) {
    json.writeStringProperty("token", text);
    json.writeNumberProperty("logprob", logProbability);
    json.writeName("bytes");
    json.writeStartArray();
    for (byte each : text.getBytes(StandardCharsets.UTF_8)) {
      json.writeNumber(each & 0xff);
    }
    json.writeEndArray();
  }
}
