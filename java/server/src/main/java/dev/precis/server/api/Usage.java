package dev.precis.server.api;

import tools.jackson.core.JsonGenerator;

/** The tokens that a request took. */
record Usage(int promptTokens, int completionTokens) {
  /** Writes the object {@code usage}. */
  void write(JsonGenerator json) {
    json.writeName("usage");
    json.writeStartObject();
    json.writeNumberProperty("prompt_tokens", promptTokens);
    json.writeNumberProperty("completion_tokens", completionTokens);
    json.writeNumberProperty("total_tokens", promptTokens + completionTokens);
    json.writeEndObject();
  }
}
