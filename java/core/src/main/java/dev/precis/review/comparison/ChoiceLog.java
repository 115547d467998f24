package dev.precis.review.comparison;

import dev.precis.io.Json;
import dev.precis.io.JsonObject;
import dev.precis.review.Journal;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.node.ObjectNode;

/** The choices of a project, in a journal. What is undone stays in the journal beside its undo. */
final class ChoiceLog {
  static final String NAME = "choices.jsonl";
  private static final String UNDO = "undo";
  private static final String ITEMS = "items";

  private ChoiceLog() {}

  static Path file(Path folder) {
    return folder.resolve(NAME);
  }

  /**
   * Returns the entry that says which items the choices are about.
   *
   * @param rewardModel the hash of the model that has scored them; null: none, or the same as
   *     before
   */
  static ObjectNode items(String sha256, String rewardModel) {
    ObjectNode json = Json.mapper().createObjectNode();
    json.put("action", ITEMS);
    json.put("sha256", sha256);
    if (rewardModel != null) {
      json.put("reward_model_sha256", rewardModel);
    }
    return json;
  }

  /** Returns the entry that takes an earlier one back. */
  static ObjectNode undo(String annotator, long number) {
    ObjectNode json = Json.mapper().createObjectNode();
    json.put("action", UNDO);
    json.put("annotator", annotator);
    json.put("number", number);
    return json;
  }

  /** Returns the hashes of the items, the newest last. */
  static List<String> itemHashes(List<Journal.Entry> entries) {
    List<String> hashes = new ArrayList<>();
    for (Journal.Entry entry : entries) {
      if (isAction(entry, ITEMS)) {
        hashes.add(entry.content().path("sha256").asString(""));
      }
    }
    return hashes;
  }

  /** Returns the choices that nobody has undone or erased, in their order. */
  static List<RecordedChoice> choices(Path file, List<Journal.Entry> entries) {
    Map<Long, RecordedChoice> choices = new LinkedHashMap<>();
    for (Journal.Entry entry : entries) {
      JsonObject content =
          entry.content() == null
              ? null
              : new JsonObject(file + ", line " + entry.number(), entry.content());
      if (isAction(entry, Choice.ACTION)) {
        choices.put(
            entry.number(), new RecordedChoice(entry.number(), entry.at(), Choice.of(content)));
      } else if (isAction(entry, UNDO)) {
        choices.remove(content.whole("number", 1, Long.MAX_VALUE));
      }
    }
    return List.copyOf(choices.values());
  }

  private static boolean isAction(Journal.Entry entry, String action) {
    return entry.content() != null && entry.content().path("action").asString("").equals(action);
  }
}
