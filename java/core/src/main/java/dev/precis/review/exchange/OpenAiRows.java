package dev.precis.review.exchange;

import dev.precis.io.Json;
import dev.precis.io.JsonObject;
import dev.precis.review.comparison.Choice;
import dev.precis.review.comparison.ComparisonProject;
import dev.precis.review.comparison.Judgment;
import dev.precis.review.comparison.Preference;
import dev.precis.review.comparison.Ratings;
import java.util.ArrayList;
import java.util.List;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** Comparisons in the form of OpenAI's summarize-from-feedback, which knows no ties. */
final class OpenAiRows {
  private OpenAiRows() {}

  static List<ObjectNode> write(ComparisonProject project, ExportTexts texts) {
    List<ObjectNode> rows = new ArrayList<>();
    for (PairVotes votes : PairVotes.of(project)) {
      ExportTexts.OfItem item = texts.of(votes.item());
      for (Choice choice : votes.choices()) {
        if (choice.winner() >= 0) {
          rows.add(row(item, choice, texts.annotator(choice.annotator())));
        }
      }
    }
    return rows;
  }

  private static ObjectNode row(ExportTexts.OfItem item, Choice choice, String worker) {
    ObjectNode row = Json.mapper().createObjectNode();
    ObjectNode info = row.putObject("info");
    info.put("id", choice.item());
    info.put("post", item.dialogue());
    info.putNull("title");
    info.putNull("subreddit");
    ArrayNode summaries = row.putArray("summaries");
    for (int index : new int[] {choice.first(), choice.second()}) {
      ObjectNode summary = summaries.addObject();
      summary.put("text", item.text(index));
      summary.put("policy", item.candidate(index));
      summary.putNull("note");
    }
    row.put("choice", choice.winner() == choice.first() ? 0 : 1);
    row.put("worker", worker);
    row.put("batch", "precis");
    row.put("split", "train");
    ObjectNode extra = row.putObject("extra");
    if (choice.judgment().confidence() != null) {
      extra.put("confidence", choice.judgment().confidence());
    }
    return row;
  }

  static void read(JsonObject row, ImportedComparisons to) {
    JsonObject info = row.object("info");
    String post = info.has("post") ? info.text("post") : info.text("article");
    JsonNode summaries = row.node().path("summaries");
    if (summaries.size() != 2) {
      throw row.wrong("summaries", "a list of two summaries");
    }
    List<Integer> places = new ArrayList<>();
    for (JsonNode each : summaries) {
      if (!(each instanceof ObjectNode object)) {
        throw row.wrong("summaries", "a list of two objects");
      }
      JsonObject summary = new JsonObject(row.where() + ", \"summaries\"", object);
      places.add(
          to.text(
              info.text("id"),
              post,
              summary.optionalText("policy").orElse("unknown"),
              summary.text("text").strip()));
    }
    Preference preference = row.integer("choice", 0, 1) == 0 ? Preference.FIRST : Preference.SECOND;
    JsonObject extra = row.object("extra");
    Integer confidence =
        extra.has("confidence") ? (Integer) extra.integer("confidence", 1, 9) : null;
    to.answer(
        row.optionalText("worker").orElse("unknown"),
        info.text("id"),
        places.getFirst(),
        places.getLast(),
        new Judgment(preference, confidence, Ratings.NONE, Ratings.NONE, null, null, null));
  }
}
