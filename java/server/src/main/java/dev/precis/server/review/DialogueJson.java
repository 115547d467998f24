package dev.precis.server.review;

import dev.precis.evaluation.SourceSentences;
import java.util.BitSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.core.JsonGenerator;

/**
 * A dialogue as the page shows it: lines, each with the number of its speaker, and sentences, each
 * with the summaries that draw on it.
 */
final class DialogueJson {
  private DialogueJson() {}

  /**
   * Writes the field {@code turns}.
   *
   * @param summaries names and texts
   */
  static void write(JsonGenerator json, String dialogue, Map<String, String> summaries) {
    SourceSentences sentences = SourceSentences.of(dialogue);
    Map<String, BitSet> drawnOn = new LinkedHashMap<>();
    summaries.forEach((name, text) -> drawnOn.put(name, sentences.drawnOn(text)));
    Map<String, Integer> speakers = new LinkedHashMap<>();
    json.writeArrayPropertyStart("turns");
    int at = 0;
    for (SourceSentences.Turn turn : sentences.turns()) {
      json.writeStartObject();
      if (!turn.speaker().isEmpty()) {
        speakers.putIfAbsent(turn.speaker(), speakers.size());
        json.writeStringProperty("speaker", turn.speaker());
        json.writeNumberProperty("number", speakers.get(turn.speaker()));
      }
      write(json, turn.sentences(), at, drawnOn);
      at += turn.sentences().size();
      json.writeEndObject();
    }
    json.writeEndArray();
  }

  private static void write(
      JsonGenerator json, List<String> sentences, int at, Map<String, BitSet> drawnOn) {
    json.writeArrayPropertyStart("sentences");
    for (int i = 0; i < sentences.size(); i++) {
      json.writeStartObject();
      json.writeStringProperty("text", sentences.get(i));
      for (Map.Entry<String, BitSet> each : drawnOn.entrySet()) {
        if (each.getValue().get(at + i)) {
          json.writeBooleanProperty(each.getKey(), true);
        }
      }
      json.writeEndObject();
    }
    json.writeEndArray();
  }
}
