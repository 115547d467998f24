package dev.precis.review.exchange;

import dev.precis.io.Json;
import dev.precis.io.JsonObject;
import dev.precis.review.comparison.Choice;
import dev.precis.review.comparison.ComparisonProject;
import dev.precis.review.comparison.Judgment;
import dev.precis.review.comparison.Preference;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Label Studio's tasks with annotations: the data {@code dialogue}, {@code text1} and {@code
 * text2}, which the tag {@code <Pairwise name="pw" toName="text1,text2"/>} compares; a tie is one
 * of {@code <Choices>}.
 */
final class LabelStudioTasks {
  private static final String DIALOGUE = "dialogue";
  private static final List<String> DIALOGUES = List.of(DIALOGUE, "prompt", "text");

  private LabelStudioTasks() {}

  static List<ObjectNode> write(ComparisonProject project, ExportTexts texts) {
    List<ObjectNode> tasks = new ArrayList<>();
    for (PairVotes votes : PairVotes.of(project)) {
      ExportTexts.OfItem item = texts.of(votes.item());
      ObjectNode task = Json.mapper().createObjectNode();
      task.put("id", tasks.size() + 1);
      ObjectNode data = task.putObject("data");
      data.put("item", votes.item().id());
      data.put(DIALOGUE, item.dialogue());
      data.put("text1", item.text(votes.a()));
      data.put("text2", item.text(votes.b()));
      data.put("candidate1", item.candidate(votes.a()));
      data.put("candidate2", item.candidate(votes.b()));
      ArrayNode annotations = task.putArray("annotations");
      for (Choice choice : votes.choices()) {
        annotations.add(annotation(votes, choice, texts.annotator(choice.annotator())));
      }
      tasks.add(task);
    }
    return tasks;
  }

  private static ObjectNode annotation(PairVotes votes, Choice choice, String annotator) {
    ObjectNode annotation = Json.mapper().createObjectNode();
    annotation.put("completed_by", annotator);
    Preference preference = choice.judgment().preference();
    annotation.put("was_cancelled", preference == Preference.SKIP);
    if (choice.judgment().seconds() != null) {
      annotation.put("lead_time", choice.judgment().seconds());
    }
    ArrayNode results = annotation.putArray("result");
    if (preference == Preference.SKIP) {
      return annotation;
    }
    ObjectNode result = results.addObject();
    if (choice.winner() >= 0) {
      result.put("from_name", "pw");
      result.put("to_name", "text1,text2");
      result.put("type", "pairwise");
      result.putObject("value").put("selected", choice.winner() == votes.a() ? "left" : "right");
    } else {
      result.put("from_name", "other");
      result.put("to_name", "text1");
      result.put("type", "choices");
      result.putObject("value").putArray("choices").add(preference.id());
    }
    return annotation;
  }

  static void read(JsonObject row, ImportedComparisons to) {
    JsonObject data = row.object("data");
    String dialogue = data.text(DIALOGUES.stream().filter(data::has).findFirst().orElse(DIALOGUE));
    JsonNode number = row.node().path("id");
    String item =
        data.optionalText("item")
            .orElseGet(() -> number.isNumber() ? number.toString() : row.text("id"));
    int first = text(data, item, dialogue, 1, to);
    int second = text(data, item, dialogue, 2, to);
    for (JsonNode annotation : row.node().path("annotations")) {
      String annotator = annotator(annotation.path("completed_by"));
      if (annotation.path("was_cancelled").asBoolean(false)) {
        continue;
      }
      List<Preference> found = new ArrayList<>();
      annotation
          .path("result")
          .forEach(result -> preference(result.path("value")).ifPresent(found::add));
      if (found.size() != 1) {
        throw row.wrong(
            "annotations", "results with one \"selected\": left or right, or one choice: tie");
      }
      to.answer(annotator, item, first, second, Judgment.of(found.getFirst()));
    }
  }

  private static int text(
      JsonObject data, String item, String dialogue, int number, ImportedComparisons to) {
    String name =
        List.of("text", "answer", "summary", "response").stream()
            .map(each -> each + number)
            .filter(data::has)
            .findFirst()
            .orElse("text" + number);
    return to.text(
        item,
        dialogue,
        data.optionalText("candidate" + number).orElse(name),
        data.text(name).strip());
  }

  /** Returns a name: exports have a number, an address, or an object with both. */
  private static String annotator(JsonNode completedBy) {
    JsonNode name =
        completedBy.isObject()
            ? completedBy.has("email") ? completedBy.get("email") : completedBy.path("id")
            : completedBy;
    return name.isString() ? name.stringValue() : name.isNumber() ? name.toString() : "unknown";
  }

  private static Optional<Preference> preference(JsonNode value) {
    String label =
        value.has("selected")
            ? value.path("selected").asString("")
            : value.path("choices").path(0).asString("");
    return switch (label.toLowerCase(Locale.ROOT)) {
      case "left" -> Optional.of(Preference.FIRST);
      case "right" -> Optional.of(Preference.SECOND);
      case "tie", "equal" -> Optional.of(Preference.TIE);
      case "both_bad", "both bad", "neither" -> Optional.of(Preference.BOTH_BAD);
      default -> Optional.empty();
    };
  }
}
