package dev.precis.review.exchange;

import dev.precis.io.Json;
import dev.precis.io.JsonObject;
import dev.precis.review.comparison.Choice;
import dev.precis.review.comparison.ComparisonProject;
import dev.precis.review.comparison.Judgment;
import dev.precis.review.comparison.Preference;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Argilla's records: the fields {@code dialogue}, {@code summary_1} and {@code summary_2}, and the
 * question {@code preference} with the labels {@code summary_1}, {@code summary_2}, {@code tie} and
 * {@code both_bad}. Those with answers per question (Argilla 2) and per user (Argilla 1) are read.
 */
final class ArgillaRecords {
  private static final String QUESTION = "preference";
  private static final String DIALOGUE = "dialogue";
  private static final List<String> SUMMARIES = List.of("summary_1", "summary_2");

  private ArgillaRecords() {}

  static List<ObjectNode> write(ComparisonProject project, ExportTexts texts) {
    List<ObjectNode> records = new ArrayList<>();
    for (PairVotes votes : PairVotes.of(project)) {
      ExportTexts.OfItem item = texts.of(votes.item());
      ObjectNode json = Json.mapper().createObjectNode();
      json.put("id", "%s#%d-%d".formatted(votes.item().id(), votes.a(), votes.b()));
      ObjectNode fields = json.putObject("fields");
      fields.put(DIALOGUE, item.dialogue());
      fields.put(SUMMARIES.get(0), item.text(votes.a()));
      fields.put(SUMMARIES.get(1), item.text(votes.b()));
      ObjectNode metadata = json.putObject("metadata");
      metadata.put("item", votes.item().id());
      metadata.put("candidate_1", item.candidate(votes.a()));
      metadata.put("candidate_2", item.candidate(votes.b()));
      json.putObject("suggestions");
      json.putObject("vectors");
      ArrayNode answers = json.putObject("responses").putArray(QUESTION);
      for (Choice choice : votes.choices()) {
        String value = label(votes, choice);
        if (value != null) {
          ObjectNode answer = answers.addObject();
          answer.put("value", value);
          answer.put("user_id", texts.annotator(choice.annotator()));
        }
      }
      json.put("status", answers.isEmpty() ? "pending" : "completed");
      records.add(json);
    }
    return records;
  }

  private static String label(PairVotes votes, Choice choice) {
    return switch (choice.judgment().preference()) {
      case FIRST, SECOND -> SUMMARIES.get(choice.winner() == votes.a() ? 0 : 1);
      case TIE, BOTH_BAD -> choice.judgment().preference().id();
      case SKIP -> null;
    };
  }

  static void read(JsonObject row, ImportedComparisons to) {
    JsonObject fields = row.object("fields");
    JsonObject metadata = row.object("metadata");
    String dialogue =
        fields.has(DIALOGUE)
            ? fields.text(DIALOGUE)
            : fields.has("prompt") ? fields.text("prompt") : fields.text("text");
    String item = metadata.optionalText("item").orElse(id(row));
    int first =
        to.text(
            item,
            dialogue,
            metadata.optionalText("candidate_1").orElse(SUMMARIES.get(0)),
            text(fields, 1));
    int second =
        to.text(
            item,
            dialogue,
            metadata.optionalText("candidate_2").orElse(SUMMARIES.get(1)),
            text(fields, 2));
    JsonNode responses = row.node().path("responses");
    List<ObjectNode> answers = new ArrayList<>();
    if (responses instanceof ArrayNode byUser) {
      for (JsonNode each : byUser) {
        // Argilla 1: {"user_id", "status", "values": {QUESTION: {"value"}}}
        JsonNode value = onlyQuestion(each.path("values"));
        if (each.path("status").asString("submitted").equals("submitted") && value != null) {
          answers.add(answer(value.path("value"), each.path("user_id")));
        }
      }
    } else {
      JsonNode question = onlyQuestion(responses);
      for (JsonNode each : question == null ? List.<JsonNode>of() : question) {
        answers.add(answer(each.path("value"), each.path("user_id")));
      }
    }
    for (ObjectNode each : answers) {
      Preference preference =
          preference(each.path("value"))
              .orElseThrow(
                  () ->
                      row.wrong(
                          "responses",
                          "answers summary_1, summary_2, tie or both_bad (or 1, 2 and 0)"));
      to.answer(each.path("user").asString(""), item, first, second, Judgment.of(preference));
    }
  }

  private static String id(JsonObject row) {
    JsonNode id = row.node().path("id");
    return id.isNumber() ? id.toString() : row.text("id");
  }

  private static String text(JsonObject fields, int number) {
    for (String name : List.of("summary_", "response_", "response-", "summary", "response")) {
      if (fields.has(name + number)) {
        return fields.text(name + number).strip();
      }
    }
    return fields.text("summary_" + number);
  }

  /**
   * Returns the answers to the question about preference, or to the only one; null: there is none.
   */
  private static JsonNode onlyQuestion(JsonNode questions) {
    if (questions.has(QUESTION)) {
      return questions.get(QUESTION);
    }
    for (Map.Entry<String, JsonNode> each : questions.properties()) {
      return each.getValue();
    }
    return null;
  }

  private static ObjectNode answer(JsonNode value, JsonNode user) {
    ObjectNode answer = Json.mapper().createObjectNode();
    answer.set("value", value);
    answer.put("user", user.isString() ? user.stringValue() : "unknown");
    return answer;
  }

  private static Optional<Preference> preference(JsonNode value) {
    String label = value.isNumber() ? value.toString() : value.asString("");
    return switch (label.replace('-', '_')) {
      case "summary_1", "response_1", "first", "left", "1" -> Optional.of(Preference.FIRST);
      case "summary_2", "response_2", "second", "right", "2" -> Optional.of(Preference.SECOND);
      case "tie", "equal", "0" -> Optional.of(Preference.TIE);
      case "both_bad", "neither" -> Optional.of(Preference.BOTH_BAD);
      default -> Optional.empty();
    };
  }
}
