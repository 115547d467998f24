package dev.precis.cli.generate;

import dev.precis.generation.Generation;
import dev.precis.io.Json;

/**
 * One line of what {@code precis generate} writes.
 *
 * @param number of several results of a dialogue, from 0; null where there is only one
 */
public record ResultLine(String id, Integer number, Generation generation) {
  /** Returns the line as JSON, without its end. */
  public byte[] json() {
    return Json.bytes(
        json -> {
          json.writeStartObject();
          json.writeStringProperty("id", id);
          if (number != null) {
            json.writeNumberProperty("return", number);
          }
          json.writeStringProperty("summary", generation.text());
          json.writeName("tokens");
          json.writeArray(generation.tokens(), 0, generation.tokens().length);
          json.writeNumberProperty("score", generation.score());
          json.writeEndObject();
        });
  }
}
