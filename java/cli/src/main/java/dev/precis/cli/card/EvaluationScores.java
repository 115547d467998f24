package dev.precis.cli.card;

import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.io.JsonObject;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * An evaluation that {@code precis evaluate --output} kept.
 *
 * @param data that it was made on
 * @param dialogues how many there were
 * @param settings of the metrics, a line each
 */
record EvaluationScores(
    String data, int dialogues, List<String> settings, List<Candidate> candidates) {
  /** A model, or a file of summaries, with its score in each metric. */
  record Candidate(String name, Map<String, Score> scores) {}

  /** A mean with its 95 % interval. */
  record Score(double mean, double low, double high) {}

  /**
   * Reads an evaluation.
   *
   * @param folder or the file {@code evaluation.json} in it
   * @throws InvalidInputException where there is none, or it is damaged
   */
  static EvaluationScores read(Path folder) {
    Path file = Files.isDirectory(folder) ? folder.resolve("evaluation.json") : folder;
    if (!Files.isRegularFile(file)) {
      throw new InvalidInputException(
          folder + " holds no evaluation: name the --output folder of precis evaluate");
    }
    JsonObject json = Json.readObject(file);
    List<Candidate> candidates = new ArrayList<>();
    for (JsonObject each : json.objects("candidates")) {
      JsonObject scores = each.object("scores");
      Map<String, Score> all = new LinkedHashMap<>();
      for (String name : scores.keys()) {
        JsonObject score = scores.object(name);
        all.put(name, new Score(score.number("mean"), score.number("low"), score.number("high")));
      }
      candidates.add(new Candidate(each.text("name"), all));
    }
    return new EvaluationScores(
        json.text("data"),
        json.integer("dialogues", 0, Integer.MAX_VALUE),
        json.has("metrics") ? json.texts("metrics") : List.of(),
        candidates);
  }

  /** Returns the names of all metrics. */
  List<String> metrics() {
    return candidates.stream().flatMap(each -> each.scores().keySet().stream()).distinct().toList();
  }

  /** Returns whether one of the metrics has this word in its name. */
  boolean measures(String word) {
    return metrics().stream().anyMatch(each -> each.toLowerCase(Locale.ROOT).contains(word));
  }
}
